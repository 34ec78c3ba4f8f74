#include "server/config_view.h"

#include "absl/strings/str_cat.h"
#include "core/base/text.h"
#include "core/config/config_text.h"
#include "server/proto_conversions.h"

namespace trawl {

absl::StatusOr<status::v1::GetConfigResponse> ShowConfig(
    const RunningConfig& running, const status::v1::GetConfigRequest& request) {
  if (running.files.config == nullptr) {
    return absl::UnavailableError("no configuration is loaded yet");
  }
  const Config& config = *running.files.config;
  status::v1::GetConfigResponse out;
  if (request.job().empty()) {
    out.set_config(ConfigText(config));
  } else if (const ScrapeConfig* job = config.FindJob(request.job())) {
    out.set_config(JobText(*job));
  } else {
    return absl::NotFoundError(
        absl::StrCat("job ", GoQuote(request.job()), " is not in the running configuration"));
  }
  if (running.has_trawl_config) out.set_trawl_config(TrawlConfigText(*running.files.trawl_config));
  SetTime(running.loaded, out.mutable_loaded());
  out.set_last_reload_error(PresentableText(running.last_reload_error, 8192));
  return out;
}

}  // namespace trawl
