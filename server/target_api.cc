#include "server/target_api.h"

#include <google/protobuf/util/json_util.h>
#include <httplib.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "server/await.h"
#include "server/origin_check.h"
#include "server/targets_json.h"

namespace trawl {
namespace {

namespace pb = status::v1;

constexpr const char* kJson = "application/json";

struct HttpError {
  int code;
  std::string_view type;
};

// Prometheus' error types and their codes; those of gRPC's that it has no word for are nearest.
HttpError ErrorOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return {400, "bad_data"};
    case absl::StatusCode::kNotFound:
      return {404, "not_found"};
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return {422, "execution"};
    case absl::StatusCode::kResourceExhausted:
      return {429, "unavailable"};
    case absl::StatusCode::kUnavailable:
      return {503, "unavailable"};
    default:
      return {500, "internal"};
  }
}

void Refuse(const absl::Status& status, httplib::Response& response) {
  const HttpError error = ErrorOf(status.code());
  response.status = error.code;
  response.set_content(ErrorJson(error.type, status.message()), kJson);
}

void Refuse(int code, std::string_view type, std::string_view why, httplib::Response& response) {
  response.status = code;
  response.set_content(ErrorJson(type, why), kJson);
}

template <typename Message>
void Reply(const absl::StatusOr<Message>& answer, httplib::Response& response) {
  if (!answer.ok()) return Refuse(answer.status(), response);
  std::string json;
  const auto written = google::protobuf::util::MessageToJsonString(*answer, &json);
  if (!written.ok()) return Refuse(500, "internal", "the answer can't be written", response);
  response.set_content(absl::StrCat(R"({"status":"success","data":)", json, "}"), kJson);
}

pb::TargetRef TargetOf(const httplib::Request& request) {
  pb::TargetRef target;
  target.set_job(request.get_param_value("scrapePool"));
  target.set_id(request.get_param_value("id"));
  target.set_scrape_url(request.get_param_value("scrapeUrl"));
  return target;
}

absl::StatusOr<pb::ExplainTargetRequest> ExplainRequest(const httplib::Request& request) {
  pb::ExplainTargetRequest out;
  if (!request.has_param("labels")) {
    *out.mutable_target() = TargetOf(request);
    return out;
  }
  const std::string json = absl::StrCat(R"({"labels":)", request.get_param_value("labels"), "}");
  const auto read = google::protobuf::util::JsonStringToMessage(json, &out);
  if (!read.ok() || out.has_target() || !out.job().empty()) {
    return absl::InvalidArgumentError("labels: want a JSON object of strings");
  }
  out.set_job(request.get_param_value("scrapePool"));
  return out;
}

}  // namespace

bool TargetApi::Handle(const httplib::Request& request, httplib::Response& response) const {
  if (request.path == "/api/v1/targets/explain") {
    Explain(request, response);
  } else if (request.path == "/api/v1/targets/scrape") {
    Scrape(request, response);
  } else {
    return false;
  }
  return true;
}

void TargetApi::Explain(const httplib::Request& request, httplib::Response& response) const {
  if (request.method != "GET") {
    return Refuse(405, "bad_data", "only GET requests allowed", response);
  }
  const absl::StatusOr<pb::ExplainTargetRequest> explain = ExplainRequest(request);
  if (!explain.ok()) return Refuse(explain.status(), response);
  Reply(inspector_.Explain(*explain), response);
}

void TargetApi::Scrape(const httplib::Request& request, httplib::Response& response) const {
  if (request.method != "POST") {
    return Refuse(405, "bad_data", "only POST requests allowed", response);
  }
  if (!options_.enable_admin_api) {
    return Refuse(403, "unavailable", "admin APIs disabled", response);
  }
  if (!MayAct(request.get_header_value("Host"), request.get_header_value("Origin"),
              options_.hostname)) {
    return Refuse(403, "bad_data", "the request comes from a page of another site", response);
  }
  pb::ScrapeNowRequest scrape;
  *scrape.mutable_target() = TargetOf(request);
  Awaited<absl::StatusOr<pb::ScrapeNowResponse>> answer;
  inspector_.ScrapeNow(scrape, [answer](auto result) { answer.Set(std::move(result)); });
  Reply(answer.Wait(), response);
}

}  // namespace trawl
