#include "core/telemetry/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace trawl {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

std::string ReadProc(const char* path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Numbers of /proc/self/stat from the third field on: the second, the program's name, may
// contain spaces.
class ProcStat {
 public:
  ProcStat() {
    const std::string text = ReadProc("/proc/self/stat");
    const size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return;
    fields_ = absl::StrSplit(std::string_view(text).substr(name_end + 1), ' ', absl::SkipEmpty());
  }

  // By its number in proc(5), from 1.
  std::optional<double> Field(size_t number) const {
    double value = 0;
    if (number - 3 >= fields_.size() || !absl::SimpleAtod(fields_[number - 3], &value)) {
      return std::nullopt;
    }
    return value;
  }

 private:
  std::vector<std::string> fields_;
};

constexpr size_t kUserTicksField = 14;
constexpr size_t kSystemTicksField = 15;
constexpr size_t kStartTicksField = 22;
constexpr size_t kVirtualBytesField = 23;
constexpr size_t kResidentPagesField = 24;

std::optional<double> BootTimeSeconds() {
  const std::string text = ReadProc("/proc/stat");
  for (const std::string_view line : absl::StrSplit(text, '\n')) {
    double value = 0;
    if (absl::StartsWith(line, "btime ") && absl::SimpleAtod(line.substr(6), &value)) return value;
  }
  return std::nullopt;
}

std::optional<double> OpenDescriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  double count = -1;  // the iterator's own
  while (!error && entry != std::filesystem::directory_iterator()) {
    ++count;
    entry.increment(error);
  }
  if (error) return std::nullopt;
  return count;
}

std::optional<double> MaxDescriptors() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

std::optional<double> Scaled(std::optional<double> value, double by) {
  if (value) *value *= by;
  return value;
}

std::optional<double> Sum(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return std::nullopt;
  return *a + *b;
}

struct Reading {
  const char* name;
  const char* help;
  MetricType type;
  std::optional<double> value;
};

MetricFamily ToFamily(const Reading& reading) {
  prometheus::ClientMetric metric;
  metric.counter.value = *reading.value;
  metric.gauge.value = *reading.value;
  return MetricFamily{reading.name, reading.help, reading.type, {std::move(metric)}};
}

}  // namespace

std::vector<MetricFamily> ProcessMetrics::Collect() const {
  const ProcStat stat;
  const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const Reading readings[] = {
      {"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
       MetricType::Counter,
       Scaled(Sum(stat.Field(kUserTicksField), stat.Field(kSystemTicksField)), tick)},
      {"process_max_fds", "Maximum number of open file descriptors.", MetricType::Gauge,
       MaxDescriptors()},
      {"process_open_fds", "Number of open file descriptors.", MetricType::Gauge,
       OpenDescriptors()},
      {"process_resident_memory_bytes", "Resident memory size in bytes.", MetricType::Gauge,
       Scaled(stat.Field(kResidentPagesField), static_cast<double>(sysconf(_SC_PAGESIZE)))},
      {"process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
       MetricType::Gauge, Sum(BootTimeSeconds(), Scaled(stat.Field(kStartTicksField), tick))},
      {"process_virtual_memory_bytes", "Virtual memory size in bytes.", MetricType::Gauge,
       stat.Field(kVirtualBytesField)},
  };
  std::vector<MetricFamily> families;
  for (const Reading& reading : readings) {
    if (reading.value) families.push_back(ToFamily(reading));
  }
  return families;
}

}  // namespace trawl
