#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "client/trawlctl/target_argument.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

struct ScrapeOptions {
  std::string target;  // id, URL, or job/instance
  std::string job;
  uint64_t max_samples = 100;  // to list
  bool body = false;           // print the body instead
  bool json = false;
};

using status::v1::ScrapedSample;
using status::v1::ScrapeNowResponse;
using status::v1::StatusService;
using status::v1::Target;

std::string Place(const ScrapedSample& sample) {
  if (sample.line() == 0) return "";
  return sample.column() == 0 ? absl::StrCat(sample.line())
                              : absl::StrCat(sample.line(), ":", sample.column());
}

std::string Outcome(const ScrapedSample& sample) {
  if (sample.fate() == ScrapedSample::KEPT) return FormatLabels(sample.labels());
  if (sample.fate() == ScrapedSample::DROPPED && sample.detail().empty()) {
    return absl::StrCat("metric_relabel_configs[", sample.rule_index(), "]");
  }
  return sample.detail();
}

std::string SampleTable(const ScrapeNowResponse& response) {
  std::vector<std::vector<std::string>> rows;
  for (const ScrapedSample& sample : response.samples()) {
    rows.push_back({Place(sample), ScrapedSample::Fate_Name(sample.fate()), sample.text(),
                    sample.fate() == ScrapedSample::BAD ? "" : FormatGoFloat(sample.value()),
                    Outcome(sample)});
  }
  return FormatTable({"LINE", "FATE", "SERIES", "VALUE", "OUTCOME"}, rows);
}

// "12 samples: 10 kept, 2 dropped", of those that are listed.
std::string Summary(const ScrapeNowResponse& response) {
  std::map<ScrapedSample::Fate, int> fates;
  for (const ScrapedSample& sample : response.samples()) ++fates[sample.fate()];
  std::vector<std::string> parts;
  parts.reserve(fates.size());
  for (const auto& [fate, count] : fates) {
    parts.push_back(absl::StrCat(count, " ", ScrapedSample::Fate_Name(fate)));
  }
  const auto& scrape = response.scrape();
  return absl::StrCat(Target::Health_Name(scrape.health()), " in ", FormatShort(scrape.duration()),
                      ", ", scrape.body_bytes(), " bytes (", scrape.inflated_bytes(),
                      " inflated), ", response.sample_count(), " samples",
                      parts.empty() ? "" : "; listed: ", absl::StrJoin(parts, ", "), "\n");
}

void PrintHead(const ScrapeNowResponse& response) {
  if (response.status_line().empty()) return;
  std::vector<std::vector<std::string>> rows;
  for (const auto& header : response.headers()) rows.push_back({header.name(), header.value()});
  std::fputs(FormatTable({response.status_line(), ""}, rows).c_str(), stdout);
}

// Scrapes a target once, out of turn, and tells the fate of each sample; stores nothing. A scrape
// that fails is printed, and an error.
absl::Status RunScrape(Connection& connection, const ScrapeOptions& options) {
  status::v1::ScrapeNowRequest request;
  ASSIGN_OR_RETURN(*request.mutable_target(),
                   TargetArgument(connection, options.target, options.job));
  request.set_max_samples(options.max_samples);
  if (options.body) request.set_max_body_bytes(uint64_t{1} << 20);
  ScrapeNowResponse response;
  RETURN_IF_ERROR(
      connection.Call(connection.status(), &StatusService::Stub::ScrapeNow, request, response));
  if (options.json) {
    ASSIGN_OR_RETURN(const std::string json, FormatJson({&response}));
    std::fputs(json.c_str(), stdout);
  } else if (options.body) {
    std::fwrite(response.body().data(), 1, response.body().size(), stdout);
    if (response.body_cut()) std::fputs("trawlctl: the body is longer\n", stderr);
  } else {
    PrintHead(response);
    std::fputs(SampleTable(response).c_str(), stdout);
    std::fputs(Summary(response).c_str(), stdout);
  }
  if (response.scrape().health() == Target::UP) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the scrape failed: ", response.scrape().error()));
}

}  // namespace

void AddScrapeCommand(Program& program) {
  const auto options = std::make_shared<ScrapeOptions>();
  CLI::App* scrape = program.Add(program.app(), "scrape",
                                 "scrape a target now, out of turn: what becomes of each sample; "
                                 "nothing is stored; exit code 1 if the scrape fails",
                                 options, RunScrape);
  scrape->add_option("target", options->target, "its id, URL, or job/instance")->required();
  scrape->add_option("--job", options->job, "its job");
  scrape->add_option("--samples", options->max_samples, "samples to list")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1'000'000'000u));
  scrape->add_flag("--body", options->body, "print the page instead");
}

}  // namespace trawl
