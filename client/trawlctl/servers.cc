#include "client/trawlctl/servers.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/usage.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {

absl::StatusOr<Servers> Servers::Open(const std::vector<std::string>& addresses,
                                      const Connection::Options& options) {
  Servers servers;
  for (const std::string& address : addresses) {
    Connection::Options one = options;
    one.address = address;
    ASSIGN_OR_RETURN(auto connection, Connection::Open(one));
    servers.servers_.push_back({address, std::move(connection)});
  }
  if (servers.servers_.empty()) return UsageError("--address names no server");
  return servers;
}

absl::Status Servers::ForEach(Ask ask) {
  std::vector<std::string> errors;
  absl::Status first;
  for (const Server& server : servers_) {
    const absl::Status status = ask(server.address, *server.connection);
    if (status.ok()) continue;
    if (first.ok()) first = status;
    errors.emplace_back(several() && !absl::IsUnavailable(status)  // which names its server
                            ? absl::StrCat(status.message(), "; server ", server.address)
                            : status.message());
  }
  const std::string all = absl::StrJoin(errors, "\n");
  return IsUsageError(first) ? UsageError(all) : absl::Status(first.code(), all);
}

Listing::Listing(std::vector<std::string> header, bool with_server, bool json)
    : with_server_(with_server), json_(json), header_(std::move(header)) {
  if (with_server_) header_.insert(header_.begin(), "SERVER");
}

absl::Status Listing::Add(const std::string& server, const google::protobuf::Message& item,
                          std::vector<std::string> row) {
  if (with_server_) row.insert(row.begin(), server);
  if (!json_) {
    rows_.push_back(std::move(row));
    return absl::OkStatus();
  }
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(item, &json);
  if (!status.ok()) return absl::InternalError(status.ToString());
  if (with_server_) {
    json = absl::StrCat("{\"server\":", JsonQuote(server), json == "{}" ? "" : ",", json.substr(1));
  }
  items_.push_back(std::move(json));
  return absl::OkStatus();
}

absl::Status Listing::Print(const absl::Status& asked) const {
  if (!asked.ok() && !with_server_) return asked;
  std::string text;
  if (!json_) {
    text = FormatTable(header_, rows_);
  } else {
    text = items_.empty() ? "[]\n" : absl::StrCat("[\n", absl::StrJoin(items_, ",\n"), "\n]\n");
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return asked;
}

}  // namespace trawl
