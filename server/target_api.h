#pragma once

#include <memory>
#include <string>

#include "server/target_inspector.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace trawl {

// Looking closely at a target over HTTP, in the envelope of Prometheus' API; `data` is the status
// protocol's answer as protobuf's JSON. Parameters stand in the query: `id` or `scrapeUrl`, and
// `scrapePool` for the job; explain takes `labels`, a JSON object, in place of a target (a URL of
// more than 8 KiB is 414, so what is there is better named by its id).
//
//   GET  /api/v1/targets/explain
//   POST /api/v1/targets/scrape      only with enable_admin_api
//
// Thread-safe.
class TargetApi {
 public:
  struct Options {
    bool enable_admin_api = false;
    std::string hostname;  // of this machine
  };

  TargetApi(Options options, TargetInspector& inspector)
      : options_(std::move(options)), inspector_(inspector) {}

  // False: it is not one of these paths. Waits for the answer.
  bool Handle(const httplib::Request& request, httplib::Response& response) const;

 private:
  void Explain(const httplib::Request& request, httplib::Response& response) const;
  void Scrape(const httplib::Request& request, httplib::Response& response) const;

  const Options options_;
  TargetInspector& inspector_;
};

}  // namespace trawl
