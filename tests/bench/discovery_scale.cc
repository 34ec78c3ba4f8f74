// What discovery costs at scale, as a pusher sees it: pushes to a running trawld, asks its /metrics
// what that cost, and serves pages of its own to see when a new target is scraped. Run by
// discovery_scale.sh; prints a line a figure: what, figure, bound, ok or FAILED. Loopback only.
//
//   discovery_scale --grpc HOST:PORT --web PORT MODE
//     load     a snapshot of --groups groups with --targets targets, and the memory they take
//     (--pid) deltas   then: changes of one group each, and what the scrape manager's work on them
//     took loops    waits until trawld has --targets scrape loops, and tells when; counted from
//     --since arrivals new targets, one after the other: until they are told, and until they are
//     scraped herd     --targets new targets at once: the most that are scraped in a second

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "trawl/discovery/v1/discovery.grpc.pb.h"

namespace {

namespace pb = trawl::discovery::v1;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

bool failed = false;

void Report(const std::string& what, double figure, double bound, const std::string& unit) {
  const bool ok = figure <= bound;
  failed |= !ok;
  std::printf("%-58s %10.3f %-4s bound %8.3f  %s\n", what.c_str(), figure, unit.c_str(), bound,
              ok ? "ok" : "FAILED");
  std::fflush(stdout);
}

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "discovery_scale: %s\n", why.c_str());
  std::exit(1);
}

double Percentile(std::vector<double> values, double part) {
  if (values.empty()) Die("nothing was measured");
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(part * double(values.size())))];
}

void Wait(double seconds) { std::this_thread::sleep_for(Seconds(seconds)); }

// ---- trawld's /metrics

int Connect(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  inet_pton(AF_INET, "127.0.0.1", &name.sin_addr);
  if (connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0) return fd;
  close(fd);
  return -1;
}

// Series by their text; empty if trawld does not answer.
std::map<std::string, double> Metrics(uint16_t port) {
  std::map<std::string, double> out;
  const int fd = Connect(port);
  if (fd < 0) return out;
  const std::string request = "GET /metrics HTTP/1.0\r\nHost: trawld\r\n\r\n";
  std::string text;
  if (write(fd, request.data(), request.size()) > 0) {
    char buffer[65536];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, size_t(n));
  }
  close(fd);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
    out[line.substr(0, space)] = std::strtod(line.c_str() + space, nullptr);
  }
  return out;
}

double Sum(const std::map<std::string, double>& metrics, const std::string& name) {
  double sum = 0;
  for (const auto& [series, value] : metrics) {
    if (series == name || series.rfind(name + "{", 0) == 0) sum += value;
  }
  return sum;
}

double ResidentBytes(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  double pages = 0;
  double resident = 0;
  file >> pages >> resident;
  return resident * double(sysconf(_SC_PAGESIZE));
}

// ---- Targets

struct Options {
  std::string grpc = "127.0.0.1:8729";
  uint16_t web = 8730;
  int pid = 0;
  int groups = 2000;
  int targets = 100'000;
  int count = 200;
  double since = 0;      // Unix seconds
  double interval = 30;  // seconds; of the job "live"
};

// Nobody listens on port 9 of these.
std::string DeadAddress(int i) {
  std::ostringstream out;
  out << "127." << 64 + i / 65'536 % 64 << "." << i / 256 % 256 << "." << i % 256 << ":9";
  return out.str();
}

pb::TargetGroup DeadGroup(const Options& options, int number) {
  pb::TargetGroup group;
  group.set_job("scale");
  group.set_key("group-" + std::to_string(number));
  (*group.mutable_labels())["rack"] = "rack-" + std::to_string(number);
  (*group.mutable_labels())["env"] = "production";
  const int size = options.targets / options.groups;
  // Neighbours in a group are far from each other in the list of targets.
  for (int i = 0; i < size; ++i) group.add_targets(DeadAddress(i * options.groups + number));
  return group;
}

// ---- The protocol

class Pusher {
 public:
  explicit Pusher(const Options& options)
      : stub_(pb::DiscoveryService::NewStub(
            grpc::CreateChannel(options.grpc, grpc::InsecureChannelCredentials()))) {}

  // One snapshot on a stream; returns when it is acked, and leaves the stream.
  void Snapshot(const std::vector<pb::TargetGroup>& groups) {
    grpc::ClientContext context;
    auto stream = stub_->Sync(&context);
    pb::SyncRequest hello;
    hello.set_id(1);
    hello.mutable_hello()->set_source("scale");
    hello.mutable_hello()->set_instance("bench");
    hello.mutable_hello()->set_history_id("bench-" + std::to_string(getpid()));
    stream->Write(hello);
    pb::SyncResponse answer;
    if (!stream->Read(&answer) || !answer.has_welcome()) Die("no Welcome");
    std::vector<pb::SyncRequest> parts = Parts(groups);
    pb::SyncRequest begin;
    begin.mutable_snapshot_begin()->set_version(1);
    begin.mutable_snapshot_begin()->set_groups(groups.size());
    for (const pb::SyncRequest& part : parts) {
      begin.mutable_snapshot_begin()->set_bytes(begin.snapshot_begin().bytes() +
                                                part.ByteSizeLong());
    }
    parts.insert(parts.begin(), begin);
    parts.emplace_back().mutable_snapshot_end();
    uint64_t id = 1;
    for (pb::SyncRequest& part : parts) {  // each is awaited: no account of the window
      part.set_id(++id);
      if (!stream->Write(part) || !stream->Read(&answer) || !answer.has_ack() ||
          answer.ack().status() == pb::Ack::REJECTED) {
        Die("a message of the snapshot was refused: " + answer.ShortDebugString());
      }
    }
    if (answer.ack().status() != pb::Ack::APPLIED) Die("not applied");
    stream->WritesDone();
    stream->Finish().ok();
  }

  void Update(const pb::UpdateRequest& request) {
    grpc::ClientContext context;
    pb::UpdateResponse response;
    const grpc::Status status = stub_->Update(&context, request, &response);
    if (!status.ok()) Die("update: " + status.error_message());
  }

 private:
  static std::vector<pb::SyncRequest> Parts(const std::vector<pb::TargetGroup>& groups) {
    std::vector<pb::SyncRequest> parts;
    size_t room = 0;
    for (const pb::TargetGroup& group : groups) {
      const size_t bytes = group.ByteSizeLong();
      if (parts.empty() || bytes > room) {
        parts.emplace_back();
        room = 1 << 20;
      }
      *parts.back().mutable_snapshot_part()->add_groups() = group;
      room -= std::min(room, bytes);
    }
    for (pb::SyncRequest& part : parts) part.set_id(1);  // so that its size is the final one
    return parts;
  }

  std::unique_ptr<pb::DiscoveryService::Stub> stub_;
};

// ---- Pages: when is /n/17 asked for?

class Pages {
 public:
  Pages() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    inet_pton(AF_INET, "127.0.0.1", &name.sin_addr);
    socklen_t size = sizeof(name);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&name), size) != 0 ||
        listen(listener_, 4096) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
      Die("can't listen");
    }
    port_ = ntohs(name.sin_port);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    Watch(listener_);
    thread_ = std::thread([this] { Serve(); });
  }
  ~Pages() {
    stop_.store(true);
    thread_.join();
    close(listener_);
    close(epoll_);
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  static std::string Path(int i) { return "/n/" + std::to_string(i); }
  // The first request for each page.
  std::map<int, Clock::time_point> first() const {
    const std::lock_guard lock(mutex_);
    return first_;
  }
  bool Seen(int page) const {
    const std::lock_guard lock(mutex_);
    return first_.count(page) != 0;
  }

 private:
  void Watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void Serve() {
    std::vector<epoll_event> events(256);
    while (!stop_.load()) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 50);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd != listener_) {
          Answer(fd);
          continue;
        }
        const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client >= 0) Watch(client);
      }
    }
  }

  // A request is one small segment; the connection ends with its answer.
  void Answer(int fd) {
    char buffer[4096];
    const ssize_t size = read(fd, buffer, sizeof(buffer) - 1);
    int page = 0;
    buffer[std::max<ssize_t>(size, 0)] = 0;
    if (size > 0 && std::sscanf(buffer, "GET /n/%d ", &page) == 1) {
      const std::lock_guard lock(mutex_);
      first_.emplace(page, Clock::now());
    }
    static const char kAnswer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n"
        "Content-Length: 4\r\n\r\nx 1\n";
    if (size > 0 && write(fd, kAnswer, sizeof(kAnswer) - 1) < 0) std::perror("write");
    close(fd);
  }

  int listener_ = -1;
  int epoll_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
  mutable std::mutex mutex_;
  std::map<int, Clock::time_point> first_;
};

pb::TargetGroup Page(const Pages& pages, int number) {
  pb::TargetGroup group;
  group.set_job("live");
  group.set_key("page-" + std::to_string(number));
  group.add_targets(pages.address());
  (*group.mutable_labels())["__metrics_path__"] = Pages::Path(number);
  (*group.mutable_labels())["page"] = std::to_string(number);
  return group;
}

// ---- Modes

void Load(const Options& options) {
  const double before = ResidentBytes(options.pid);
  std::vector<pb::TargetGroup> groups;
  for (int i = 0; i < options.groups; ++i) groups.push_back(DeadGroup(options, i));
  Pusher pusher(options);
  const Clock::time_point begin = Clock::now();
  pusher.Snapshot(groups);
  const std::string what = std::to_string(options.targets) + " targets in " +
                           std::to_string(options.groups) + " groups: ";
  Report(what + "accepted and on disk", Seconds(Clock::now() - begin).count(), 3, "s");
  while (Sum(Metrics(options.web), "trawl_scrape_loops") < options.targets) Wait(0.02);
  Report(what + "all loops scheduled", Seconds(Clock::now() - begin).count(), 3, "s");
  Report("memory a target before its first scrape",
         (ResidentBytes(options.pid) - before) / options.targets / 1024, 2, "KiB");
}

// What the manager's work took on average, and the bucket that 99 of 100 fit into, in ms. The
// latter has the time in which other threads had the processor: on two of them, a shard's turn or
// two.
void ReportWork(const std::string& what, const std::map<std::string, double>& before,
                const std::map<std::string, double>& after) {
  const std::string name = "trawl_reconcile_duration_seconds";
  const auto grew = [&](const std::string& series) {
    const auto old = before.find(series);
    return after.at(series) - (old == before.end() ? 0 : old->second);
  };
  const double count = grew(name + "_count");
  Report(what + ", mean", grew(name + "_sum") / count * 1000, 1, "ms");
  double bound = 1e9;
  for (const auto& [series, unused] : after) {
    if (series.rfind(name + "_bucket{le=\"", 0) != 0) continue;
    const double le = std::strtod(series.c_str() + name.size() + 12, nullptr);
    if (le > 0 && grew(series) >= 0.99 * count) bound = std::min(bound, le);
  }
  Report(what + ", p99 at most", bound * 1000, 2.5, "ms");
}

void Deltas(const Options& options) {
  Pusher pusher(options);
  for (const bool relabel : {false, true}) {
    const auto before = Metrics(options.web);
    std::vector<double> acked;
    for (int i = 0; i < options.count; ++i) {
      pb::UpdateRequest update;
      update.set_source("scale");
      pb::TargetGroup& group = *update.add_upsert();
      group = DeadGroup(options, i * 7 % options.groups);
      group.set_targets(0, DeadAddress(options.targets + i + (relabel ? options.count : 0)));
      if (relabel) (*group.mutable_labels())["env"] = "staging";
      const Clock::time_point begin = Clock::now();
      pusher.Update(update);
      acked.push_back(Seconds(Clock::now() - begin).count() * 1000);
      Wait(0.012);  // each is a batch of its own
    }
    const std::string what = relabel ? "manager's work, a group with other labels"
                                     : "manager's work, a group with another address";
    ReportWork(what, before, Metrics(options.web));
    std::printf("  acked in %.1f ms (median), %.1f ms (p99)\n", Percentile(acked, 0.5),
                Percentile(acked, 0.99));
  }
}

void Loops(const Options& options) {
  while (Sum(Metrics(options.web), "trawl_scrape_loops") < options.targets) Wait(0.01);
  const double now = Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
  Report("restart with " + std::to_string(options.targets) + " targets: all loops scheduled",
         now - options.since, 3, "s");
}

void Arrivals(const Options& options) {
  const Pages pages;
  Pusher pusher(options);
  std::vector<double> told;
  std::map<int, Clock::time_point> sent;
  // A job's first targets keep to their offsets, as at a start.
  pb::UpdateRequest first;
  first.set_source("arrivals");
  *first.add_upsert() = Page(pages, options.count);
  pusher.Update(first);
  for (int i = 0; i < options.count; ++i) {
    pb::UpdateRequest update;
    update.set_source("arrivals");
    *update.add_upsert() = Page(pages, i);
    sent[i] = Clock::now();
    pusher.Update(update);
    told.push_back(Seconds(Clock::now() - sent[i]).count() * 1000);
    Wait(0.02 + 0.001 * (i * 37 % 41));
  }
  Wait(2);
  std::vector<double> scraped;
  for (const auto& [page, time] : pages.first()) {
    if (sent.count(page) == 0) continue;
    scraped.push_back(Seconds(time - sent[page]).count() * 1000);
  }
  Report("a new target: not scraped within 2 s", options.count - double(scraped.size()), 0, "");
  Report("a new target: pushed to scheduled and acked, p99", Percentile(told, 0.99), 10, "ms");
  Report("a new target: pushed to its first request, p99", Percentile(scraped, 0.99), 50, "ms");
  std::printf("  medians %.1f ms, %.1f ms\n", Percentile(told, 0.5), Percentile(scraped, 0.5));
}

void Herd(const Options& options) {
  const Pages pages;
  Pusher pusher(options);
  pb::UpdateRequest update;
  update.set_source("herd");
  for (int i = 0; i < options.targets; ++i) *update.add_upsert() = Page(pages, i);
  const Clock::time_point begin = Clock::now();
  pusher.Update(update);
  std::printf("  %d new targets acked after %.2f s\n", options.targets,
              Seconds(Clock::now() - begin).count());
  Wait(options.interval + 2);
  std::map<int, int> by_second;
  int most = 0;
  const auto first = pages.first();
  for (const auto& [page, time] : first) {
    most = std::max(most, ++by_second[static_cast<int>(Seconds(time - begin).count())]);
  }
  Report("a push of many: not scraped in an interval", options.targets - double(first.size()), 0,
         "");
  // Spread over the interval, with half as many again for chance.
  Report("a push of many: first scrapes in the worst second", most,
         1.5 * options.targets / options.interval, "");
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string mode;
  CLI::App app("What discovery costs at scale");
  app.add_option("--grpc", options.grpc, "trawld's gRPC address");
  app.add_option("--web", options.web, "trawld's HTTP port on 127.0.0.1");
  app.add_option("--pid", options.pid, "trawld's process");
  app.add_option("--groups", options.groups, "groups of a snapshot");
  app.add_option("--targets", options.targets, "targets of a snapshot, or of a push");
  app.add_option("--count", options.count, "changes, or new targets");
  app.add_option("--since", options.since, "when trawld was started, in Unix seconds");
  app.add_option("--interval", options.interval, "scrape interval of the job live, in seconds");
  app.add_option("mode", mode, "load, deltas, loops, arrivals or herd")->required();
  CLI11_PARSE(app, argc, argv);
  const std::map<std::string, void (*)(const Options&)> modes = {
      {"load", Load}, {"deltas", Deltas}, {"loops", Loops}, {"arrivals", Arrivals}, {"herd", Herd}};
  const auto found = modes.find(mode);
  if (found == modes.end()) Die("unknown mode " + mode);
  found->second(options);
  return failed ? 1 : 0;
}
