#pragma once

namespace trawl {

class Program;

// trawlctl's commands, in the order of its help. Each file adds those that it has.
void AddTargetCommands(Program& program);     // targets, target
void AddStatusCommands(Program& program);     // pools, sinks, reload, version
void AddSpoolCommands(Program& program);      // spool skip, ls, verify, dump
void AddExplainCommands(Program& program);    // explain, config
void AddScrapeCommand(Program& program);      // scrape
void AddPlanCommand(Program& program);        // plan
void AddDiscoveryCommands(Program& program);  // push, update, sources, groups, release
void AddSyncCommand(Program& program);        // sync
void AddCheckCommand(Program& program);       // check config
void AddSamplesCommand(Program& program);     // samples

inline void AddCommands(Program& program) {
  AddTargetCommands(program);
  AddStatusCommands(program);
  AddSpoolCommands(program);
  AddExplainCommands(program);
  AddScrapeCommand(program);
  AddPlanCommand(program);
  AddDiscoveryCommands(program);
  AddSyncCommand(program);
  AddCheckCommand(program);
  AddSamplesCommand(program);
}

}  // namespace trawl
