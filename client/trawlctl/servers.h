#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/trawlctl/connection.h"

namespace google::protobuf {
class Message;
}

namespace trawl {

// The trawlds that a listing asks, one after the other.
class Servers {
 public:
  // `options.address` is not looked at.
  static absl::StatusOr<Servers> Open(const std::vector<std::string>& addresses,
                                      const Connection::Options& options);

  bool several() const { return servers_.size() > 1; }
  using Ask = absl::FunctionRef<absl::Status(const std::string& address, Connection& connection)>;
  // One that fails keeps none of the others from being asked. Not OK if one did: what each said,
  // with the code of the first.
  absl::Status ForEach(Ask ask);

 private:
  struct Server {
    std::string address;
    std::unique_ptr<Connection> connection;
  };
  std::vector<Server> servers_;
};

// What servers list, as a table or as JSON; of several ones each item says where it is from, in
// the column SERVER and the field "server".
class Listing {
 public:
  Listing(std::vector<std::string> header, const Servers& servers, bool json)
      : Listing(std::move(header), servers.several(), json) {}
  Listing(std::vector<std::string> header, bool with_server, bool json);
  absl::Status Add(const std::string& server, const google::protobuf::Message& item,
                   std::vector<std::string> row);
  // Prints what was listed, also when some could not be asked, and returns `asked`.
  absl::Status Print(const absl::Status& asked) const;

 private:
  const bool with_server_;
  const bool json_;
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::string> items_;  // JSON objects
};

}  // namespace trawl
