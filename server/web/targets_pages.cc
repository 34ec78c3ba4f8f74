#include "server/web/targets_pages.h"

#include <httplib.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "server/web/page_files.h"
#include "server/web/targets_overview.h"

namespace trawl {
namespace {

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const char* TypeOf(std::string_view name) {
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  return "text/html; charset=utf-8";
}

bool ReplyFile(std::string_view name, httplib::Response& response) {
  for (const EmbeddedFile& file : PageFiles()) {
    if (file.name != name) continue;
    response.set_header("Content-Security-Policy", kPolicy);
    response.set_header("Referrer-Policy", "no-referrer");
    response.set_header("Cache-Control", "no-cache");
    response.set_content(file.content.data(), file.content.size(), TypeOf(name));
    return true;
  }
  return false;
}

std::set<std::string> All(const httplib::Request& request, const char* name) {
  const auto [begin, end] = request.params.equal_range(name);
  std::set<std::string> out;
  for (auto param = begin; param != end; ++param) out.insert(param->second);
  return out;
}

void ReadNumber(const httplib::Request& request, const char* name, size_t& out) {
  size_t number = 0;
  if (absl::SimpleAtoi(request.get_param_value(name), &number)) out = number;
}

// What can't be read stays at its default: the page writes it.
OverviewQuery ReadQuery(const httplib::Request& request) {
  OverviewQuery query;
  query.search = request.get_param_value("search");
  const std::string health = request.get_param_value("health");
  if (health == "up") query.health = TargetHealth::kUp;
  if (health == "down") query.health = TargetHealth::kDown;
  if (health == "unknown") query.health = TargetHealth::kUnknown;
  ReadNumber(request, "limit", query.limit);
  ReadNumber(request, "openUpTo", query.open_up_to);
  query.open = All(request, "open");
  query.closed = All(request, "closed");
  query.dropped = All(request, "dropped");
  for (const std::string& text : All(request, "limitOf")) {  // "200 JOB"
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(' ', 1));
    size_t limit = 0;
    if (absl::SimpleAtoi(parts.first, &limit)) query.limit_of[parts.second] = limit;
  }
  return query;
}

}  // namespace

bool TargetsPages::Handle(const httplib::Request& request, httplib::Response& response) const {
  const std::string& path = request.path;
  if ((request.method != "GET" && request.method != "HEAD") || path.empty()) return false;
  if (path == "/api/v1/targets/overview") {
    response.set_content(TargetsOverviewJson(*pools_(), lanes_(), ReadQuery(request), clock_.Now()),
                         "application/json");
    return true;
  }
  if (path == "/") {
    response.set_redirect("/targets");
    return true;
  }
  return ReplyFile(path == "/targets" ? "targets.html" : std::string_view(path).substr(1),
                   response);
}

}  // namespace trawl
