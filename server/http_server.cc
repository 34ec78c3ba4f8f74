#include "server/http_server.h"

#include <httplib.h>
#include <openssl/ssl.h>
#include <prometheus/counter.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"
#include "core/telemetry/labelled.h"
#include "server/access/web_tls.h"
#include "server/await.h"
#include "server/http_stream.h"
#include "server/origin_check.h"
#include "server/target_api.h"
#include "server/targets_json.h"
#include "server/web/targets_pages.h"

namespace trawl {
namespace {

constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kJson = "application/json";

void Reply(httplib::Response& response, int code, const std::string& body, const char* type) {
  response.status = code;
  response.set_content(body, type);
}

}  // namespace

// What each path answers.
class HttpServer::Routes {
 public:
  Routes(const Options& options, Deps deps)
      : options_(options),
        deps_(std::move(deps)),
        requests_(prometheus::BuildCounter()
                      .Name("prometheus_http_requests_total")
                      .Help("Counter of HTTP requests.")
                      .Register(deps_.metrics.registry()),
                  {"handler", "code"}),
        pages_(deps_.clock, deps_.pools, deps_.lanes) {
    if (deps_.inspector == nullptr) return;
    target_api_.emplace(TargetApi::Options{options.enable_admin_api, options.hostname},
                        *deps_.inspector);
  }

  // After Listen, before the first request.
  void SetPort(uint16_t port) {
    external_.own_port = absl::StrCat(port);
    external_.host = absl::StrCat(options_.hostname, ":", port);
  }

  void Handle(const httplib::Request& request, httplib::Response& response) {
    response.set_header("X-Content-Type-Options", "nosniff");
    const bool known = HandleApi(request, response) || HandleRead(request, response) ||
                       pages_.Handle(request, response) || HandleLifecycle(request, response) ||
                       (target_api_.has_value() && target_api_->Handle(request, response));
    if (!known) Reply(response, 404, "404 page not found\n", kText);
    requests_.Increment({known ? std::string_view(request.path) : std::string_view("other"),
                         absl::StrCat(response.status)});
  }

 private:
  // What Prometheus' API has, too: GET alone, without HEAD.
  bool HandleApi(const httplib::Request& request, httplib::Response& response) {
    const std::string& path = request.path;
    const bool targets = path == "/api/v1/targets";
    const bool pools = path == "/api/v1/scrape_pools";
    if (!targets && !pools && path != "/api/v1/status/config") return false;
    if (request.method == "OPTIONS") {
      response.status = 204;
    } else if (request.method != "GET") {
      response.set_header("Allow", "GET, OPTIONS");
      Reply(response, 405, "Method Not Allowed\n", kText);
    } else if (targets) {
      Reply(response, 200,
            TargetsJson(*deps_.pools(), request.get_param_value("state"),
                        request.get_param_value("scrapePool"), external_),
            kJson);
    } else if (pools) {
      Reply(response, 200, ScrapePoolsJson(*deps_.pools()), kJson);
    } else {
      HandleConfig(response);
    }
    return true;
  }

  bool HandleRead(const httplib::Request& request, httplib::Response& response) {
    if (request.method != "GET" && request.method != "HEAD") return false;
    const std::string& path = request.path;
    if (path == "/metrics") {
      Reply(response, 200, deps_.metrics.Serialize(), std::string(Metrics::kContentType).c_str());
    } else if (path == "/-/healthy") {
      Reply(response, 200, "trawl is Healthy.\n", kText);
    } else if (path == "/-/ready") {
      const bool ready = deps_.ready();
      Reply(response, ready ? 200 : 503, ready ? "trawl is Ready.\n" : "Service Unavailable",
            kText);
    } else {
      return false;
    }
    return true;
  }

  void HandleConfig(httplib::Response& response) {
    const auto config = deps_.config(status::v1::GetConfigRequest());
    if (config.ok()) return Reply(response, 200, ConfigJson(config->config()), kJson);
    Reply(response, 503, ErrorJson("unavailable", config.status().message()), kJson);
  }

  bool HandleLifecycle(const httplib::Request& request, httplib::Response& response) {
    const bool reload = request.path == "/-/reload";
    if (!reload && request.path != "/-/quit") return false;
    if (request.method != "POST" && request.method != "PUT") {
      Reply(response, 405, "Only POST or PUT requests allowed", kText);
    } else if (!options_.enable_lifecycle) {
      Reply(response, 403, "Lifecycle API is not enabled.", kText);
    } else if (!MayAct(request.get_header_value("Host"), request.get_header_value("Origin"),
                       options_.hostname)) {
      Reply(response, 403, "The request comes from a page of another site.", kText);
    } else if (reload) {
      HandleReload(response);
    } else {
      deps_.quit();
      Reply(response, 200, "Requesting termination... Goodbye!", kText);
    }
    return true;
  }

  void HandleReload(httplib::Response& response) {
    const Awaited<absl::Status> reloaded;
    deps_.reload([reloaded](absl::Status status) { reloaded.Set(std::move(status)); });
    const absl::Status status = reloaded.Wait();
    if (status.ok()) return Reply(response, 200, "", kText);
    Reply(response, 500, absl::StrCat("failed to reload config: ", status.message(), "\n"), kText);
  }

  const Options options_;
  const Deps deps_;
  LabelledCounter requests_;
  ExternalAddress external_;
  TargetsPages pages_;
  std::optional<TargetApi> target_api_;
};

// The library, without its own way of accepting: a thread of it would wait for each connection.
class HttpServer::Library final : public httplib::Server {
 public:
  void Serve(httplib::Stream& stream) {
    bool closed = false;
    process_request(stream, /*close_connection=*/true, closed, nullptr);
  }
};

struct HttpServer::Tls {
  explicit Tls(WebTls::Current current) : files(std::move(current)) {}

  WebTls files;
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_server_method()),
                                                                  &SSL_CTX_free};
};

namespace {

// Before anything of the library looks at the request: ranges (a header may name one range a
// thousand times) are not served, and of the codings it could answer with only gzip is cheap.
void Restrict(const httplib::Request& request) {
  auto& mutable_request = const_cast<httplib::Request&>(request);  // the library's own, not const
  mutable_request.ranges.clear();
  const bool gzip = request.get_header_value("Accept-Encoding").find("gzip") != std::string::npos;
  mutable_request.headers.erase("Accept-Encoding");
  if (gzip) mutable_request.headers.emplace("Accept-Encoding", "gzip");
}

// What the web configuration says, before anything of the request is looked at.
bool Admit(WebGuard* guard, const httplib::Request& request, httplib::Response& response) {
  if (guard == nullptr) return true;
  const auto config = guard->config();  // stays while it is read
  for (const auto& [name, value] : config->headers) response.set_header(name, value);
  if (guard->Admits(request.get_header_value("Authorization"))) return true;
  response.set_header("WWW-Authenticate", "Basic");
  Reply(response, 401, "Unauthorized\n", kText);
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Options& options, Deps deps) {
  std::unique_ptr<HttpServer> server(new HttpServer(options, std::move(deps)));
  RETURN_IF_ERROR(Annotate(server->SetUpTls(), "web.config.file"));
  ASSIGN_OR_RETURN(ListenSockets sockets, ListenSockets::Open(options.address));
  server->routes_->SetPort(sockets.port());
  server->SetUpLibrary();
  server->Accept(std::move(sockets));
  return server;
}

HttpServer::HttpServer(const Options& options, Deps deps)
    : options_(options),
      clock_(deps.clock),
      guard_(deps.guard),
      closed_unheard_(deps.metrics.server().http_connections_closed_unheard_total),
      routes_(std::make_unique<Routes>(options, std::move(deps))),
      library_(std::make_unique<Library>()),
      waiting_thread_(clock_, "http-wait"),
      workers_(options.threads, "http") {}

absl::Status HttpServer::SetUpTls() {
  if (guard_ == nullptr || !guard_->config()->tls) return absl::OkStatus();
  tls_ = std::make_unique<Tls>([guard = guard_] { return guard->config(); });
  if (tls_->context == nullptr) return absl::InternalError("no TLS context");
  return tls_->files.SetUp(*tls_->context);
}

void HttpServer::SetUpLibrary() {
  library_->set_payload_max_length(64 << 10);
  // Instead of the library's routes, which are regular expressions of std::regex.
  library_->set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        Restrict(request);
        if (Admit(guard_, request, response)) routes_->Handle(request, response);
        return httplib::Server::HandlerResponse::Handled;
      });
}

void HttpServer::Accept(ListenSockets sockets) {
  EpollLoop& loop = waiting_thread_.loop();
  RunOn(loop, [&] {
    quiet_ = std::make_unique<QuietConnections>(
        QuietConnections::Options{options_.max_connections, options_.max_wait},
        QuietConnections::Deps{loop, loop},
        QuietConnections::Callbacks{
            .heard = [this](std::unique_ptr<HttpStream> stream) { Serve(std::move(stream)); },
            .closed = [this] { closed_unheard_.Increment(); }});
  });
  accept_loop_ = std::make_unique<AcceptLoop>(
      AcceptLoop::Options{.name = "http-accept"}, std::move(sockets),
      [this, &loop](int fd) { loop.Post([this, fd] { quiet_->Add(MakeStream(fd)); }); });
}

std::unique_ptr<HttpStream> HttpServer::MakeStream(int fd) const {
  return std::make_unique<HttpStream>(HttpStream::Options{.max_answer = options_.max_answer},
                                      clock_, fd, tls_ == nullptr ? nullptr : tls_->context.get());
}

void HttpServer::Serve(std::shared_ptr<HttpStream> stream) {
  workers_.Add([this, stream = std::move(stream)]() mutable {
    library_->Serve(*stream);
    stream.reset();
    quiet_->OnOver();
  });
}

uint16_t HttpServer::port() const { return accept_loop_->port(); }

HttpServer::~HttpServer() { Stop(); }

void HttpServer::Stop() {
  if (accept_loop_ != nullptr) accept_loop_->Stop();
  // Behind what the accepting thread has posted.
  if (quiet_ != nullptr && !stopped_) RunOn(waiting_thread_.loop(), [this] { quiet_->CloseAll(); });
  stopped_ = true;
  waiting_thread_.Shutdown();
  workers_.Shutdown();
}

}  // namespace trawl
