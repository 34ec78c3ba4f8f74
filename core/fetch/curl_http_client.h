#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/mutex.h"
#include "core/fetch/fetcher.h"
#include "core/model/http_client_config.h"

namespace trawl {

class RootStore;
class TlsContext;
class TlsSource;

// The HttpClient of CurlFetcher and BlockingHttpClient. Thread-safe.
class CurlHttpClient final : public HttpClient {
 public:
  CurlHttpClient(HttpClientConfig config, std::shared_ptr<TlsSource> tls);
  ~CurlHttpClient() override;

  const HttpClientConfig& config() const { return config_; }
  // Reads the secrets' files. Never log the result.
  absl::StatusOr<std::optional<std::string>> AuthorizationValue() const;
  // Looks whether the certificates' files have changed.
  absl::StatusOr<std::shared_ptr<const TlsContext>> Tls() const;

 private:
  const HttpClientConfig config_;
  const std::shared_ptr<TlsSource> tls_;
};

// Clients with equal TLS options share their trust, and so their connections. Thread-safe.
class CurlHttpClientFactory final : public HttpClientFactory {
 public:
  struct Options {
    // The system's roots; parsed when the first https URL is fetched without a CA of its own.
    std::string roots_path = "/etc/ssl/certs/ca-certificates.crt";
  };
  explicit CurlHttpClientFactory(Options options);
  CurlHttpClientFactory() : CurlHttpClientFactory(Options()) {}
  ~CurlHttpClientFactory() override;

  absl::StatusOr<std::shared_ptr<const HttpClient>> MakeClient(
      const HttpClientConfig& config) override;

 private:
  std::shared_ptr<TlsSource> SourceFor(const TlsConfig& config);

  const std::shared_ptr<RootStore> roots_;
  Mutex mutex_;
  std::vector<std::weak_ptr<TlsSource>> sources_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl
