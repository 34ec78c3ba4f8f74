#include "client/trawlctl/target_argument.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

using status::v1::ListTargetsRequest;
using status::v1::ListTargetsResponse;
using status::v1::StatusService;
using status::v1::Target;

bool IsId(const std::string& text) {
  return text.size() == 16 && std::ranges::all_of(text, [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c));
         });
}

bool IsUrl(const std::string& text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

// Of job/instance: both may have slashes, so each is tried.
absl::StatusOr<std::string> FindId(Connection& connection, const std::string& name,
                                   const std::string& job) {
  std::vector<std::string> ids;
  for (size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    ListTargetsRequest request;
    request.set_job(name.substr(0, slash));
    request.set_state(Target::ACTIVE);
    request.add_matchers(absl::StrCat("instance=", GoQuote(name.substr(slash + 1))));
    if (slash == 0 || (!job.empty() && job != request.job())) continue;
    ListTargetsResponse response;
    RETURN_IF_ERROR(
        connection.Call(connection.status(), &StatusService::Stub::ListTargets, request, response));
    for (const Target& target : response.targets()) ids.push_back(target.id());
  }
  if (ids.size() == 1) return ids.front();
  if (ids.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no target is ", name, ": want its URL, id, or job/instance"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(ids.size(), " targets are ", name, ", by id: ", absl::StrJoin(ids, ", ")));
}

}  // namespace

absl::StatusOr<status::v1::TargetRef> TargetArgument(Connection& connection,
                                                     const std::string& text,
                                                     const std::string& job) {
  status::v1::TargetRef out;
  out.set_job(job);
  if (IsId(text)) {
    out.set_id(absl::AsciiStrToLower(text));
  } else if (IsUrl(text)) {
    out.set_scrape_url(text);
  } else {
    ASSIGN_OR_RETURN(*out.mutable_id(), FindId(connection, text, job));
  }
  return out;
}

}  // namespace trawl
