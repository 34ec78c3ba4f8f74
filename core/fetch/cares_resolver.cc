#include "core/fetch/cares_resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <algorithm>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/shared_count.h"

namespace trawl {
namespace {

constexpr char kResolvConf[] = "/etc/resolv.conf";
// How long a question may take before those who ask get an answer that ran out.
constexpr absl::Duration kStaleWait = absl::Milliseconds(500);

using Addresses = std::vector<std::string>;

std::string AddressText(const ares_addrinfo_node& node) {
  char text[INET6_ADDRSTRLEN] = {};
  if (node.ai_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(node.ai_addr)->sin_addr, text,
              sizeof(text));
  } else if (node.ai_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(node.ai_addr)->sin6_addr, text,
              sizeof(text));
  }
  return text;
}

bool IsNoSuchName(int status) {
  return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;
}

absl::Status LookupError(const std::string& host, int status) {
  std::string why = absl::AsciiStrToLower(ares_strerror(status));
  if (IsNoSuchName(status)) why = "no such host";
  if (status == ARES_ETIMEOUT) why = "i/o timeout";
  return absl::UnavailableError(absl::StrCat("lookup ", host, ": ", why));
}

bool IsLocalhost(const std::string& host) {
  return host == "localhost" || absl::EndsWith(host, ".localhost");
}

std::string ResolvConfStamp() {
  struct stat info {};
  if (stat(kResolvConf, &info) != 0) return "";
  return absl::StrCat(info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, " ", info.st_ino);
}

}  // namespace

class CaresResolver::Engine {
 public:
  Engine(Options options, Deps deps)
      : options_(std::move(options)), loop_(deps.loop), watcher_(deps.watcher) {
    ares_library_init(ARES_LIB_INIT_ALL);
    OpenChannel();
  }

  ~Engine() {
    closing_ = true;
    if (channel_ != nullptr) ares_destroy(channel_);
    for (const int fd : watched_) watcher_.Unwatch(fd);
    loop_.Cancel(timer_);
    for (auto& [host, query] : queries_) loop_.Cancel(query.stale_timer);
    ares_library_cleanup();
  }

  ResolveId Resolve(const std::string& name, Callback callback) {
    const std::string host = absl::AsciiStrToLower(name);
    if (IsLocalhost(host)) {
      callback(Addresses{"127.0.0.1", "::1"});
      return 0;
    }
    const auto cached = cache_.find(host);
    if (cached != cache_.end() && Now() < cached->second.fresh_until) {
      Touch(cached->second);
      callback(AnswerOf(cached->second));
      return 0;
    }
    const ResolveId id = next_id_++;
    asked_[id] = host;
    Query& query = queries_[host];
    query.waiting.emplace_back(id, std::move(callback));
    if (query.waiting.size() == 1) Ask(host, query);
    return asked_.contains(id) ? id : 0;
  }

  void Cancel(ResolveId id) {
    const auto asked = asked_.find(id);
    if (asked == asked_.end()) return;
    const auto query = queries_.find(asked->second);
    asked_.erase(asked);
    if (query == queries_.end()) return;  // its answer is being given just now
    // The question goes on: its answer is for the cache.
    std::erase_if(query->second.waiting, [id](const auto& waiter) { return waiter.first == id; });
  }

  size_t cached_names() const { return cache_.size(); }
  size_t queries_sent() const { return queries_sent_; }
  Totals totals() const { return {answered_.Get(), not_found_.Get(), failed_.Get()}; }

 private:
  struct Entry {
    Addresses addresses;  // the last good ones; empty if there never were any
    absl::Status error;   // of the last question
    absl::Duration fresh_until;
    absl::Duration usable_until;  // when fresh addresses cannot be had
    std::list<std::string>::iterator age;
  };
  struct Query {
    std::vector<std::pair<ResolveId, Callback>> waiting;
    TimerId stale_timer = 0;
    bool sent = false;
  };
  struct Question {
    Engine* engine;
    std::string host;
  };

  absl::Duration Now() const { return loop_.clock().Steady(); }

  void OpenChannel() {
    ares_options settings{};
    settings.timeout = static_cast<int>(absl::ToInt64Milliseconds(options_.query_timeout));
    settings.tries = 3;
    settings.lookups = const_cast<char*>("fb");
    settings.sock_state_cb = &Engine::OnSocketState;
    settings.sock_state_cb_data = this;
    const int mask =
        ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    stamp_ = ResolvConfStamp();
    if (ares_init_options(&channel_, &settings, mask) != ARES_SUCCESS) channel_ = nullptr;
    if (channel_ != nullptr && !options_.servers.empty()) {
      ares_set_servers_ports_csv(channel_, options_.servers.c_str());
    }
  }

  // Not while c-ares is on the stack, or questions are under way.
  void ReopenIfChanged() {
    if (in_flight_ != 0 || in_cares_ || (channel_ != nullptr && ResolvConfStamp() == stamp_))
      return;
    if (channel_ != nullptr) ares_destroy(channel_);
    OpenChannel();
  }

  void Ask(const std::string& host, Query& query) {
    const auto cached = cache_.find(host);
    if (cached != cache_.end() && !cached->second.addresses.empty() &&
        Now() < cached->second.usable_until && query.stale_timer == 0) {
      query.stale_timer = loop_.RunAfter(kStaleWait, [this, host] { GiveStale(host); });
    }
    if (query.sent) return;
    query.sent = true;
    ReopenIfChanged();
    if (channel_ == nullptr) return Finish(host, ARES_ENOTINITIALIZED, nullptr);
    ++queries_sent_;
    ++in_flight_;
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    const bool nested = std::exchange(in_cares_, true);
    ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &Engine::OnAnswer,
                     new Question{this, host});
    in_cares_ = nested;
    SetTimer();
  }

  static void OnAnswer(void* arg, int status, int, ares_addrinfo* found) {
    const std::unique_ptr<Question> question(static_cast<Question*>(arg));
    Engine& engine = *question->engine;
    --engine.in_flight_;
    if (!engine.closing_ && status != ARES_EDESTRUCTION) {
      engine.Finish(question->host, status, found);
    }
    if (found != nullptr) ares_freeaddrinfo(found);
  }

  void Finish(const std::string& host, int status, const ares_addrinfo* found) {
    Entry& entry = EntryFor(host);
    Store(entry, host, status, found);
    const auto answer = AnswerOf(entry);
    Query query = std::move(queries_[host]);
    queries_.erase(host);
    loop_.Cancel(query.stale_timer);
    GiveAnswer(query, answer);
    TrimCache();
  }

  void Store(Entry& entry, const std::string& host, int status, const ares_addrinfo* found) {
    Addresses addresses;
    int ttl = INT32_MAX;
    for (const auto* node = found == nullptr ? nullptr : found->nodes; node != nullptr;
         node = node->ai_next) {
      std::string text = AddressText(*node);
      if (!text.empty()) addresses.push_back(std::move(text));
      ttl = std::min(ttl, node->ai_ttl);
    }
    if (addresses.empty() && status == ARES_SUCCESS) status = ARES_ENODATA;
    Count(status);
    if (status != ARES_SUCCESS) {
      entry.error = LookupError(host, status);
      entry.fresh_until = Now() + options_.failure_ttl;
      return;
    }
    entry.addresses = std::move(addresses);
    entry.error = absl::OkStatus();
    entry.fresh_until = Now() + std::clamp(absl::Seconds(ttl), options_.min_ttl, options_.max_ttl);
    entry.usable_until = entry.fresh_until + options_.stale_for;
  }

  void Count(int status) {
    if (status == ARES_SUCCESS) return answered_.Add();
    (IsNoSuchName(status) ? not_found_ : failed_).Add();
  }

  absl::StatusOr<Addresses> AnswerOf(const Entry& entry) const {
    const bool usable = entry.error.ok() || Now() < entry.usable_until;
    if (usable && !entry.addresses.empty()) return entry.addresses;
    return entry.error.ok() ? absl::UnavailableError("no answer") : entry.error;
  }

  void GiveStale(const std::string& host) {
    Query& query = queries_[host];
    query.stale_timer = 0;
    Query waiting{std::exchange(query.waiting, {})};
    GiveAnswer(waiting, AnswerOf(EntryFor(host)));
  }

  void GiveAnswer(Query& query, const absl::StatusOr<Addresses>& answer) {
    for (auto& [id, callback] : query.waiting) {
      // One waiter's callback may have cancelled another one.
      if (asked_.erase(id) != 0) callback(answer);
    }
  }

  Entry& EntryFor(const std::string& host) {
    const auto [found, added] = cache_.try_emplace(host);
    if (added) found->second.age = ages_.insert(ages_.begin(), host);
    return found->second;
  }

  void Touch(Entry& entry) { ages_.splice(ages_.begin(), ages_, entry.age); }

  void TrimCache() {
    while (cache_.size() > options_.max_cached_names) {
      cache_.erase(ages_.back());
      ages_.pop_back();
    }
  }

  static void OnSocketState(void* self, ares_socket_t fd, int readable, int writable) {
    auto& engine = *static_cast<Engine*>(self);
    uint32_t events = 0;
    if (readable != 0) events |= FdWatcher::kReadable;
    if (writable != 0) events |= FdWatcher::kWritable;
    if (events == 0) {
      if (engine.watched_.erase(fd) != 0) engine.watcher_.Unwatch(fd);
    } else if (engine.watched_.insert(fd).second) {
      engine.watcher_.Watch(fd, events, [&engine, fd](uint32_t ready) { engine.Act(fd, ready); });
    } else {
      engine.watcher_.SetEvents(fd, events);
    }
  }

  void Act(int fd, uint32_t ready) {
    const bool error = (ready & FdWatcher::kError) != 0;
    const bool can_read = error || (ready & FdWatcher::kReadable) != 0;
    const bool can_write = error || (ready & FdWatcher::kWritable) != 0;
    Process(can_read ? fd : ARES_SOCKET_BAD, can_write ? fd : ARES_SOCKET_BAD);
  }

  void Process(ares_socket_t readable, ares_socket_t writable) {
    in_cares_ = true;
    ares_process_fd(channel_, readable, writable);
    in_cares_ = false;
    SetTimer();
  }

  void SetTimer() {
    loop_.Cancel(std::exchange(timer_, 0));
    timeval left{};
    if (channel_ == nullptr || ares_timeout(channel_, nullptr, &left) == nullptr) return;
    timer_ = loop_.RunAfter(absl::DurationFromTimeval(left) + absl::Milliseconds(1), [this] {
      timer_ = 0;
      Process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    });
  }

  // Constant after construction.
  const Options options_;
  EventLoop& loop_;
  FdWatcher& watcher_;

  ares_channel channel_ = nullptr;
  std::string stamp_;  // of resolv.conf as the channel read it
  bool closing_ = false;
  bool in_cares_ = false;
  int in_flight_ = 0;
  size_t queries_sent_ = 0;
  SharedCount answered_;
  SharedCount not_found_;
  SharedCount failed_;
  TimerId timer_ = 0;
  absl::flat_hash_set<int> watched_;

  ResolveId next_id_ = 1;
  absl::flat_hash_map<ResolveId, std::string> asked_;
  absl::flat_hash_map<std::string, Query> queries_;
  absl::flat_hash_map<std::string, Entry> cache_;
  std::list<std::string> ages_;  // of the cache, last used first
};

CaresResolver::CaresResolver(Options options, Deps deps)
    : engine_(std::make_unique<Engine>(std::move(options), deps)) {}

CaresResolver::~CaresResolver() = default;

Resolver::ResolveId CaresResolver::Resolve(const std::string& host, Callback callback) {
  return engine_->Resolve(host, std::move(callback));
}

void CaresResolver::Cancel(ResolveId id) { engine_->Cancel(id); }

size_t CaresResolver::cached_names() const { return engine_->cached_names(); }
size_t CaresResolver::queries_sent() const { return engine_->queries_sent(); }
CaresResolver::Totals CaresResolver::totals() const { return engine_->totals(); }

}  // namespace trawl
