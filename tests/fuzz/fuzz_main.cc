// Feeds a fuzz target with its seeds and with what becomes of them at random.
//
//   fuzz_NAME             as many rounds as a test makes (TRAWL_TEST_SIZE=long: a hundred times
//   more) fuzz_NAME ROUND [N]   N rounds (1) from this one on: what a failure named
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

std::atomic<uint64_t> g_round{0};

// Also from a signal's handler.
void TellRound() {
  char text[64];
  const int size = std::snprintf(text, sizeof text, "fuzz: in round %lu\n",
                                 static_cast<unsigned long>(g_round.load()));
  if (size > 0) (void)!write(STDERR_FILENO, text, static_cast<size_t>(size));
}

void OnSignal(int number) {
  TellRound();
  signal(number, SIG_DFL);
  raise(number);
}

}  // namespace

// AddressSanitizer calls this before it reports.
extern "C" void __asan_on_error() { TellRound(); }

namespace trawl {
namespace {

constexpr uint64_t kRounds = 20'000;
constexpr size_t kMaxBytes = size_t{64} << 10;

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, uint64_t round) : seeds_(seeds), random_(round) {}

  std::string Make() {
    std::string bytes = seeds_[random_() % seeds_.size()];
    // The seeds as they are, and what is near to them more often than what is far away.
    for (uint64_t steps = random_() % 8; steps > 0; --steps) Step(bytes);
    bytes.resize(std::min(bytes.size(), kMaxBytes));
    return bytes;
  }

 private:
  size_t Place(const std::string& bytes) { return random_() % (bytes.size() + 1); }
  size_t Length() { return 1 + random_() % (size_t{1} << random_() % 8); }

  void Step(std::string& bytes) {
    const size_t at = Place(bytes);
    switch (random_() % 8) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random_() % 8));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random_());
        break;
      case 2:  // a number of four bytes: none, few, very many
        PutNumber(bytes, at);
        break;
      case 3:
        bytes.erase(at, Length());
        break;
      case 4:
        bytes.insert(at, std::string(Length(), static_cast<char>(random_())));
        break;
      case 5: {  // a piece again, from elsewhere
        const std::string piece = bytes.substr(Place(bytes), Length());
        bytes.insert(at, piece);
        break;
      }
      case 6: {  // the rest of another seed
        const std::string& other = seeds_[random_() % seeds_.size()];
        bytes = bytes.substr(0, at) + other.substr(Place(other));
        break;
      }
      default:
        bytes.resize(at);
    }
  }

  void PutNumber(std::string& bytes, size_t at) {
    const uint64_t number = random_() % 2 == 0 ? random_() % 4 : ~(random_() % 4);
    for (size_t i = at; i < std::min(bytes.size(), at + 4); ++i) {
      bytes[i] = static_cast<char>(number >> 8 * (i - at));
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_;
};

// In memory of its own and of just this size, so that AddressSanitizer sees what reads on.
void FeedExactly(std::string_view input) {
  const std::unique_ptr<char[]> bytes(new char[input.size()]);
  std::copy(input.begin(), input.end(), bytes.get());
  FuzzOne(std::string_view(bytes.get(), input.size()));
}

uint64_t RoundsOfTheTest() {
  const char* const size = std::getenv("TRAWL_TEST_SIZE");
  return size != nullptr && std::string_view(size) == "long" ? 100 * kRounds : kRounds;
}

int Main(int argc, char** argv) {
  for (const int number : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS}) signal(number, OnSignal);
  const std::vector<std::string> seeds = FuzzSeeds();
  Require(!seeds.empty(), "there are seeds");
  const uint64_t first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  const uint64_t rounds = argc > 2   ? std::strtoull(argv[2], nullptr, 10)
                          : argc > 1 ? 1
                                     : RoundsOfTheTest();
  if (argc == 1) {
    for (const std::string& seed : seeds) FeedExactly(seed);
  }
  for (uint64_t round = first; round < first + rounds; ++round) {
    g_round = round;
    FeedExactly(Mutator(seeds, round).Make());
  }
  std::printf("%zu seeds, %lu rounds\n", seeds.size(), static_cast<unsigned long>(rounds));
  return 0;
}

}  // namespace

void Require(bool kept, std::string_view promise) {
  if (kept) return;
  std::fprintf(stderr, "fuzz: not kept: %s\n", std::string(promise).c_str());
  std::abort();
}

}  // namespace trawl

int main(int argc, char** argv) { return trawl::Main(argc, argv); }
