// trawlctl: looks into a running trawld, pushes targets, checks configurations, reads stored
// samples. Exit codes: 0 done, 1 refused or wrong, 2 wrong usage, 3 the server can't be reached;
// of plan also 4: the configuration would change something.

#include "client/trawlctl/commands.h"
#include "client/trawlctl/program.h"

int main(int argc, char** argv) {
  trawl::Program program;
  trawl::AddCommands(program);
  return program.Run(argc, argv);
}
