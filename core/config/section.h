#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/config/config.h"
#include "core/config/load.h"
#include "core/config/yaml_reader.h"

namespace trawl {

// The readers of the config file's sections. Each reports what is wrong to the findings and reads
// on; what it returns is only of use when there was no error.

// What all of them need to know.
struct SectionContext {
  const LoadOptions& options;
  std::string base_dir;  // relative paths are resolved against it
  Findings& findings;
  // Fields of `global:` that jobs inherited and trawl does not support: told once, where they
  // stand.
  std::set<std::string>& refused_globals;
};

// `path` as it is when it is empty or absolute, or `dir` is empty; else below `dir` (JoinPath).
std::string JoinDir(std::string_view dir, std::string_view path);

// `node` is nullptr when the file has no `global:`.
GlobalConfig ReadGlobal(const YamlNode* node, const SectionContext& context);
// Reports these fields of `global:`.
void RefuseGlobals(const YamlNode& node, const std::set<std::string>& fields, Findings& findings);

ScrapeConfig ReadScrapeConfig(const YamlNode& node, const GlobalConfig& global,
                              const SectionContext& context);

RemoteWriteConfig ReadRemoteWrite(const YamlNode& node, const SectionContext& context);

// Why a field that decides about histograms is refused.
inline constexpr std::string_view kChangesWhatIsStored =
    "leaving it out would change what is stored";

// The HTTP client's fields, which stand inline in a job or remote_write entry.
HttpClientConfig ReadHttpClient(StructReader& reader, const SectionContext& context);

// A field of the form TLS12; another text is reported.
void ReadTlsVersion(StructReader& reader, std::string_view field, TlsVersion& version);

// `relabel_configs` and its kin. `kind` is Prometheus' word for them: "target" or "metric".
std::vector<RelabelConfig> ReadRelabelConfigs(const YamlNode& node, std::string_view kind,
                                              NameValidation names, Findings& findings);

// `scrape_protocols`, narrowed to what is supported; unset when it is null. `where` ends messages:
// " for global config".
std::optional<std::vector<ScrapeProtocol>> ReadScrapeProtocols(const YamlNode& node,
                                                               std::string_view where,
                                                               const SectionContext& context);
// The message of an unknown protocol.
std::string UnknownScrapeProtocol(std::string_view name);

// unset: the field says nothing.
std::optional<NameValidation> ReadNameValidation(StructReader& reader, std::string_view scope);
std::optional<EscapingScheme> ReadEscapingScheme(StructReader& reader, std::string_view scope);

// `static_configs`: keys "0", "1", …
std::vector<TargetGroup> ReadStaticConfigs(const YamlNode& node, Findings& findings);

// One group of static_configs or of a file_sd file.
TargetGroup ReadTargetGroup(const YamlNode& node, Findings& findings);

// `$VAR` and `${VAR}` as Go's os.Expand; names whose variable is unset or empty go to `missing`.
std::string ExpandEnv(std::string_view text, const EnvLookup& env,
                      std::vector<std::string>& missing);

}  // namespace trawl
