// Many exporters in one process, for load tests: serves real captures, gzipped, one after the
// other, on ADDRESSES of 127.1.0.0/16 (port 9100 each), and takes remote writes on 127.0.0.1:9201.
//
//   exporter_farm --bodies DIR --targets 2000 [--port 9100] [--write-port 9201] [--file-sd FILE]
//                 [--answers FILE]
//
// Each target starts at another capture and goes through them in turn. Prints a line with totals
// every 10 s and at SIGTERM; then it writes FILE as well, a line with address and Unix time in ms for
// each answer to a scrape. Loopback only.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/fakes/gzip.h"

namespace {

struct Body {
  std::string plain;  // whole responses, head included
  std::string gzipped;
};

std::string Response(std::string_view body, bool gzip) {
  std::ostringstream head;
  head << "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
       << (gzip ? "Content-Encoding: gzip\r\n" : "") << "Content-Length: " << body.size()
       << "\r\n\r\n";
  return head.str() + std::string(body);
}

std::vector<Body> LoadBodies(const std::string& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Body> bodies;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    bodies.push_back({Response(text, false), Response(trawl::Gzip(text), true)});
  }
  return bodies;
}

int Listen(const std::string& address, uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &name.sin_addr);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0 ||
      listen(fd, 128) != 0) {
    std::fprintf(stderr, "exporter_farm: can't listen on %s:%d: %s\n", address.c_str(), port,
                 std::strerror(errno));
    std::exit(1);
  }
  return fd;
}

std::string TargetAddress(int index) {
  return "127.1." + std::to_string(index / 250) + "." + std::to_string(index % 250 + 1);
}

class Farm {
 public:
  Farm(std::vector<Body> bodies, int targets, uint16_t port, uint16_t write_port)
      : bodies_(std::move(bodies)), next_body_(targets) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < targets; ++i) {
      next_body_[i] = i;
      Add(Listen(TargetAddress(i), port), {Kind::kTargetListener, i, "", ""});
    }
    if (write_port != 0) Add(Listen("127.0.0.1", write_port), {Kind::kWriteListener, 0, "", ""});
    AddSignals();
    AddTimer();
  }

  void Run() {
    std::vector<epoll_event> events(512);
    while (!stop_) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) OnReady(events[i].data.fd);
    }
    Report();
  }

  void WriteAnswers(const std::string& path, uint16_t port) const {
    std::ofstream file(path);
    for (const Answer& answer : answers_) {
      file << TargetAddress(answer.target) << ':' << port << ' ' << answer.time_ms << '\n';
    }
  }

 private:
  enum class Kind { kTargetListener, kWriteListener, kTarget, kWrite, kSignals, kTimer };
  struct Answer {
    int target;
    int64_t time_ms;
  };
  struct Socket {
    Kind kind;
    int target;
    std::string in;
    std::string out;
  };

  void Add(int fd, Socket state) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    sockets_[fd] = std::make_unique<Socket>(std::move(state));
  }

  void AddSignals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    Add(signalfd(-1, &set, SFD_CLOEXEC), {Kind::kSignals, 0, "", ""});
  }

  void AddTimer() {
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    itimerspec every{{10, 0}, {10, 0}};
    timerfd_settime(fd, 0, &every, nullptr);
    Add(fd, {Kind::kTimer, 0, "", ""});
  }

  void OnReady(int fd) {
    Socket& state = *sockets_[fd];
    switch (state.kind) {
      case Kind::kSignals:
        stop_ = true;
        return;
      case Kind::kTimer: {
        uint64_t ticks;
        if (read(fd, &ticks, sizeof(ticks)) > 0) Report();
        return;
      }
      case Kind::kTargetListener:
        return Accept(fd, Kind::kTarget, state.target);
      case Kind::kWriteListener:
        return Accept(fd, Kind::kWrite, 0);
      default:
        OnData(fd, state);
    }
  }

  void Accept(int listener, Kind kind, int target) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ++connections_;
    Add(fd, {kind, target, "", ""});
  }

  void OnData(int fd, Socket& state) {
    char buffer[65536];
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size <= 0) {
      if (size < 0 && errno == EAGAIN) return;
      sockets_.erase(fd);
      close(fd);
      return;
    }
    state.in.append(buffer, static_cast<size_t>(size));
    while (TakeRequest(fd, state)) {
    }
  }

  bool TakeRequest(int fd, Socket& state) {
    const size_t head_end = state.in.find("\r\n\r\n");
    if (head_end == std::string::npos) return false;
    std::string head = state.in.substr(0, head_end + 2);
    std::transform(head.begin(), head.end(), head.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    size_t length = 0;
    const size_t at = head.find("\r\ncontent-length:");
    if (at != std::string::npos) length = std::strtoull(head.c_str() + at + 17, nullptr, 10);
    if (state.in.size() < head_end + 4 + length) return false;
    state.in.erase(0, head_end + 4 + length);
    if (state.kind == Kind::kWrite) {
      ++writes_;
      write_bytes_ += length;
      Send(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    } else {
      const Body& body = bodies_[next_body_[state.target]++ % bodies_.size()];
      ++scrapes_;
      answers_.push_back({state.target, NowMs()});
      Send(fd, head.find("gzip") != std::string::npos ? body.gzipped : body.plain);
    }
    return true;
  }

  // A response fits the socket's buffer or is waited for: fine on loopback.
  static void Send(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return;
      if (sent > 0) text.remove_prefix(static_cast<size_t>(sent));
    }
  }

  static int64_t NowMs() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  void Report() {
    std::printf(
        "scrapes %llu connections %llu writes %llu write_bytes %llu\n",
        static_cast<unsigned long long>(scrapes_), static_cast<unsigned long long>(connections_),
        static_cast<unsigned long long>(writes_), static_cast<unsigned long long>(write_bytes_));
    std::fflush(stdout);
  }

  const std::vector<Body> bodies_;
  std::vector<size_t> next_body_;
  int epoll_ = -1;
  bool stop_ = false;
  std::unordered_map<int, std::unique_ptr<Socket>> sockets_;
  std::vector<Answer> answers_;
  uint64_t scrapes_ = 0;
  uint64_t connections_ = 0;
  uint64_t writes_ = 0;
  uint64_t write_bytes_ = 0;
};

void WriteFileSd(const std::string& path, int targets, uint16_t port) {
  std::ofstream file(path);
  file << "[{\"targets\": [";
  for (int i = 0; i < targets; ++i) {
    file << (i == 0 ? "" : ", ") << '"' << TargetAddress(i) << ':' << port << '"';
  }
  file << "]}]\n";
}

}  // namespace

int main(int argc, char** argv) {
  std::string bodies;
  std::string file_sd;
  std::string answers;
  int targets = 2000;
  uint16_t port = 9100;
  uint16_t write_port = 9201;
  CLI::App app("Many exporters on loopback, for load tests");
  app.add_option("--bodies", bodies, "directory of text bodies, served in the order of their names")
      ->required();
  app.add_option("--targets", targets, "how many exporters")->check(CLI::Range(1, 60000));
  app.add_option("--port", port, "port of every exporter");
  app.add_option("--write-port", write_port, "port that takes remote writes; 0: none");
  app.add_option("--file-sd", file_sd, "write the targets to this file_sd file");
  app.add_option("--answers", answers, "write at the end when which target was answered");
  CLI11_PARSE(app, argc, argv);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  std::vector<Body> loaded = LoadBodies(bodies);
  if (loaded.empty()) {
    std::fprintf(stderr, "exporter_farm: no files in %s\n", bodies.c_str());
    return 1;
  }
  if (!file_sd.empty()) WriteFileSd(file_sd, targets, port);
  Farm farm(std::move(loaded), targets, port, write_port);
  farm.Run();
  if (!answers.empty()) farm.WriteAnswers(answers, port);
  return 0;
}
