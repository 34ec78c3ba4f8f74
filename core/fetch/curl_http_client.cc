#include "core/fetch/curl_http_client.h"

#include <curl/curl.h>

#include <utility>

#include "core/fetch/secret.h"
#include "core/fetch/tls_context.h"

namespace trawl {

CurlHttpClient::CurlHttpClient(HttpClientConfig config, std::shared_ptr<TlsSource> tls)
    : config_(std::move(config)), tls_(std::move(tls)) {}

CurlHttpClient::~CurlHttpClient() = default;

absl::StatusOr<std::optional<std::string>> CurlHttpClient::AuthorizationValue() const {
  return trawl::AuthorizationValue(config_);
}

absl::StatusOr<std::shared_ptr<const TlsContext>> CurlHttpClient::Tls() const {
  return tls_->Current();
}

CurlHttpClientFactory::CurlHttpClientFactory(Options options)
    : roots_(std::make_shared<RootStore>(std::move(options.roots_path))) {
  curl_global_init(CURL_GLOBAL_DEFAULT);  // thread-safe and counted since 7.84
}

CurlHttpClientFactory::~CurlHttpClientFactory() = default;

absl::StatusOr<std::shared_ptr<const HttpClient>> CurlHttpClientFactory::MakeClient(
    const HttpClientConfig& config) {
  std::shared_ptr<TlsSource> source = SourceFor(config.tls_config);
  // The system's roots are left for the first https fetch: most jobs never need them.
  if (config.tls_config.ca.set() || config.tls_config.cert.set()) {
    const auto context = source->Current();
    if (!context.ok()) return context.status();
  }
  return std::make_shared<CurlHttpClient>(config, std::move(source));
}

std::shared_ptr<TlsSource> CurlHttpClientFactory::SourceFor(const TlsConfig& config) {
  MutexLock lock(mutex_);
  std::erase_if(sources_, [](const auto& source) { return source.expired(); });
  for (const auto& weak : sources_) {
    std::shared_ptr<TlsSource> source = weak.lock();
    if (source != nullptr && source->config() == config) return source;
  }
  auto source = std::make_shared<TlsSource>(config, roots_);
  sources_.push_back(source);
  return source;
}

}  // namespace trawl
