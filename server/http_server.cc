#include "server/http_server.h"

#include <httplib.h>
#include <prometheus/counter.h>
#include <pthread.h>

#include <atomic>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"
#include "core/telemetry/labelled.h"
#include "server/access/web_tls.h"
#include "server/origin_check.h"
#include "server/target_api.h"
#include "server/targets_json.h"
#include "server/targets_page.h"

namespace trawl {
namespace {

constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kHtml = "text/html; charset=utf-8";
constexpr const char* kJson = "application/json";

// Serves connections on a few threads. The one who accepts waits while too many are waiting.
class BoundedTaskQueue final : public httplib::TaskQueue {
 public:
  BoundedTaskQueue(size_t threads, size_t max_waiting) : max_waiting_(max_waiting) {
    for (size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { Run(); });
      pthread_setname_np(threads_.back().native_handle(), "http");
    }
  }

  void enqueue(std::function<void()> task) override {
    MutexLock lock(mutex_);
    while (tasks_.size() >= max_waiting_) changed_.Wait(mutex_);
    tasks_.push_back(std::move(task));
    changed_.NotifyAll();
  }

  void shutdown() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Run() {
    while (std::optional<std::function<void()>> task = Next()) (*task)();
  }

  std::optional<std::function<void()>> Next() {
    MutexLock lock(mutex_);
    while (tasks_.empty() && !stopping_) changed_.Wait(mutex_);
    if (tasks_.empty()) return std::nullopt;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    changed_.NotifyAll();
    return task;
  }

  const size_t max_waiting_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ TRAWL_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> tasks_ TRAWL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

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
                  {"handler", "code"}) {
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
    const bool known = HandleRead(request, response) || HandleLifecycle(request, response) ||
                       (target_api_.has_value() && target_api_->Handle(request, response));
    if (!known) Reply(response, 404, "404 page not found\n", kText);
    requests_.Increment({known ? std::string_view(request.path) : std::string_view("other"),
                         absl::StrCat(response.status)});
  }

 private:
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
    } else if (path == "/api/v1/targets") {
      Reply(response, 200,
            TargetsJson(*deps_.pools(), request.get_param_value("state"),
                        request.get_param_value("scrapePool"), external_),
            kJson);
    } else if (path == "/api/v1/scrape_pools") {
      Reply(response, 200, ScrapePoolsJson(*deps_.pools()), kJson);
    } else if (path == "/api/v1/status/config") {
      HandleConfig(response);
    } else if (path == "/" || path == "/targets") {
      response.set_header("Content-Security-Policy",
                          "default-src 'none'; style-src 'unsafe-inline'");
      Reply(response, 200, TargetsPage(*deps_.pools(), deps_.clock.Now()), kHtml);
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
    struct Waiting {
      Mutex mutex;
      CondVar done;
      std::optional<absl::Status> status;
    };
    auto waiting = std::make_shared<Waiting>();
    deps_.reload([waiting](absl::Status status) {
      MutexLock lock(waiting->mutex);
      waiting->status = std::move(status);
      waiting->done.NotifyAll();
    });
    MutexLock lock(waiting->mutex);
    while (!waiting->status) waiting->done.Wait(waiting->mutex);
    if (waiting->status->ok()) return Reply(response, 200, "", kText);
    Reply(response, 500,
          absl::StrCat("failed to reload config: ", waiting->status->message(), "\n"), kText);
  }

  const Options options_;
  const Deps deps_;
  LabelledCounter requests_;
  ExternalAddress external_;
  std::optional<TargetApi> target_api_;
};

struct HttpServer::Library {
  std::unique_ptr<WebTls> tls;
  std::unique_ptr<httplib::Server> server;
  std::atomic<bool> stopping{false};
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
  for (const auto& [name, value] : guard->config()->headers) response.set_header(name, value);
  if (guard->Admits(request.get_header_value("Authorization"))) return true;
  response.set_header("WWW-Authenticate", "Basic");
  Reply(response, 401, "Unauthorized\n", kText);
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Options& options, Deps deps) {
  std::unique_ptr<HttpServer> server(new HttpServer(options, std::move(deps)));
  RETURN_IF_ERROR(server->SetUp());
  RETURN_IF_ERROR(server->Listen());
  server->thread_ = std::thread([raw = server.get()] { raw->Serve(); });
  pthread_setname_np(server->thread_.native_handle(), "http-accept");
  // stop() does nothing on a library that does not run yet.
  while (!server->library_->server->is_running()) std::this_thread::yield();
  return server;
}

HttpServer::HttpServer(const Options& options, Deps deps)
    : options_(options),
      guard_(deps.guard),
      routes_(std::make_unique<Routes>(options, std::move(deps))),
      library_(std::make_unique<Library>()) {}

absl::Status HttpServer::SetUp() {
  absl::Status tls;
  if (guard_ != nullptr && guard_->config()->tls) {
    library_->tls = std::make_unique<WebTls>([guard = guard_] { return guard->config(); });
    library_->server = std::make_unique<httplib::SSLServer>([&](SSL_CTX& context) {
      tls = library_->tls->SetUp(context);
      return tls.ok();
    });
    if (tls.ok() && !library_->server->is_valid()) tls = absl::InternalError("no TLS context");
  } else {
    library_->server = std::make_unique<httplib::Server>();
  }
  if (!tls.ok()) return Annotate(tls, "web.config.file");
  httplib::Server& server = *library_->server;
  server.new_task_queue = [this] {
    return new BoundedTaskQueue(options_.threads, options_.max_waiting);
  };
  // A thread serves one connection at a time: none may be held between two requests.
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(5);
  server.set_write_timeout(10);
  server.set_payload_max_length(64 << 10);
  // The library's default, SO_REUSEPORT, would let two servers share the address unnoticed.
  server.set_socket_options([](int fd) {
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  // Instead of the library's routes, which are regular expressions of std::regex.
  server.set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        Restrict(request);
        if (Admit(guard_, request, response)) routes_->Handle(request, response);
        return httplib::Server::HandlerResponse::Handled;
      });
  return absl::OkStatus();
}

absl::Status HttpServer::Listen() {
  const std::string host = options_.address.host.empty() ? "0.0.0.0" : options_.address.host;
  // The library does not say why it can't bind: ask first.
  absl::Status probe = ListenSockets::Open(options_.address).status();
  if (!probe.ok()) return probe;
  httplib::Server& server = *library_->server;
  const int port = options_.address.port;
  const int bound = port == 0                         ? server.bind_to_any_port(host)
                    : server.bind_to_port(host, port) ? port
                                                      : -1;
  if (bound <= 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("listen tcp ", options_.address.ToString(), ": can't bind"));
  }
  port_ = static_cast<uint16_t>(bound);
  routes_->SetPort(port_);
  return absl::OkStatus();
}

void HttpServer::Serve() {
  library_->server->listen_after_bind();
  if (!library_->stopping.load()) LogError("The HTTP server stopped accepting connections");
}

HttpServer::~HttpServer() { Stop(); }

void HttpServer::Stop() {
  if (!thread_.joinable()) return;
  library_->stopping.store(true);
  library_->server->stop();
  thread_.join();
}

}  // namespace trawl
