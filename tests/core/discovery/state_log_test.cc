#include "core/discovery/state_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/discovery/state_store.h"
#include "core/telemetry/metrics.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kDirectory[] = "data/discovery";

std::shared_ptr<const TargetGroup> Group(const std::string& key, std::vector<std::string> targets) {
  return std::make_shared<const TargetGroup>(TargetGroup{key, std::move(targets), {{"a", "b"}}});
}

StateDelta Put(uint64_t version, const std::string& key, std::vector<std::string> targets) {
  StateDelta delta;
  delta.head.version = version;
  delta.head.history_id = "h";
  delta.upsert.emplace_back(GroupName{"node", key}, Group(key, std::move(targets)));
  return delta;
}

// Everything that must come back, as bytes.
std::string Text(const SourceState& state) { return EncodeLogStart("", state); }

SourceState After(SourceState state, const StateDelta& delta) {
  ApplyDelta(delta, state);
  return state;
}

// A disk, the program that writes to it, and what the program was told is safe.
class Machine {
 public:
  explicit Machine(StateLog::Options log = {}) : log_(log) {
    CHECK_OK(files.CreateDirectory("data"));
    Start();
  }

  void Start() {
    store = std::make_unique<StateStore>(StateStore::Options{kDirectory, log_},
                                         StateStore::Deps{files, metrics_});
    restored.clear();
    auto found = store->Recover();
    if (!found.ok()) return;
    for (RestoredSource& source : *found) {
      restored[source.source] = std::move(source.state);
    }
  }
  // Nothing that was ordered to fail will.
  void Calm() {
    files.FailAfter(0, absl::OkStatus());
    files.ReadFile("none").IgnoreError();
  }
  double damaged() const { return metrics_.state_damaged_files_total.Value(); }
  double torn() const { return metrics_.state_torn_writes_total.Value(); }
  double failures() const { return metrics_.state_write_failures_total.Value(); }
  std::vector<std::string> Files() { return files.List(kDirectory).value(); }
  std::string OnlyFile() { return absl::StrCat(kDirectory, "/", Files().at(0)); }
  // Without the zeros behind it.
  std::string OnlyLog() {
    const std::string bytes = files.ReadFile(OnlyFile()).value();
    return bytes.substr(0, DecodeLog(bytes).value().good_bytes);
  }

  void RemoveAll(bool directory_too) {
    const std::vector<std::string> names = Files();
    for (const std::string& name : names) {
      ASSERT_THAT(files.Remove(absl::StrCat(kDirectory, "/", name)), IsOk());
    }
    if (directory_too) {
      ASSERT_THAT(files.Remove(kDirectory), IsOk());
    }
  }

  MemFileSystem files;
  std::unique_ptr<StateStore> store;
  std::map<std::string, SourceState> restored;

 private:
  static void CHECK_OK(const absl::Status& status) { ASSERT_THAT(status, IsOk()); }

  const StateLog::Options log_;
  prometheus::Registry registry_;
  DiscoveryMetrics metrics_{registry_};
};

TEST(StateLogTest, EverythingOfASourceComesBack) {
  Machine machine;
  StateDelta delta = Put(7, "k", {"n1:1", "n2:2"});
  delta.head.fencing_token = 9;
  delta.head.last_digest = 0xfedcba9876543210;
  delta.head.lease = {absl::Seconds(30), true};
  delta.head.source_targets = 300;
  delta.head.withheld = true;
  delta.head.released = true;
  Issue issue;
  issue.code = IssueCode::kBadAddress;
  issue.group = {"node", "bad"};
  issue.target_index = 3;
  issue.field = "groups[1].targets[3]";
  issue.detail = "\"a/b\" is not a valid hostname";
  delta.refused.push_back(issue);
  const HeldGroup held{{"gone:1", "gone:2"}, {{"a", "c"}}, true};
  delta.held.emplace_back(GroupName{"node", "k"}, std::make_shared<const HeldGroup>(held));
  delta.peaks.emplace_back("node", Peaks{{29'000'000, 1000}, {29'000'003, 7}});
  ASSERT_THAT(machine.store->Record("k8s", {}, delta), IsOk());

  machine.files.LosePower();
  machine.Start();

  ASSERT_THAT(machine.restored, SizeIs(1));
  const SourceState& state = machine.restored.at("k8s");
  EXPECT_EQ(static_cast<const SourceHead&>(state), delta.head);
  EXPECT_EQ(*state.groups.at({"node", "k"}), *delta.upsert[0].second);
  EXPECT_EQ(Text(state), Text(After({}, delta)));
  EXPECT_EQ(state.refused.at({"node", "bad"}).target_index, 3);
  EXPECT_EQ(*state.held.at({"node", "k"}), held);
  EXPECT_EQ(state.peaks.at("node"), delta.peaks[0].second);

  StateDelta none;
  none.head = delta.head;
  none.held.emplace_back(GroupName{"node", "k"}, nullptr);
  none.peaks.emplace_back("node", Peaks());
  ASSERT_THAT(machine.store->Record("k8s", state, none), IsOk());
  machine.Start();
  EXPECT_THAT(machine.restored.at("k8s").held, IsEmpty());
  EXPECT_THAT(machine.restored.at("k8s").peaks, IsEmpty());
}

TEST(StateLogTest, ThatTheProcessRanIsNotedAndReadBack) {
  Machine machine;
  EXPECT_FALSE(machine.store->last_running());
  const absl::Time noted = absl::FromUnixSeconds(1'800'000'000);
  ASSERT_THAT(machine.store->NoteRunning(noted - absl::Minutes(1)), IsOk());
  ASSERT_THAT(machine.store->NoteRunning(noted), IsOk());
  machine.files.LosePower();
  machine.Start();
  EXPECT_EQ(machine.store->last_running(), noted);

  machine.files.Put("data/discovery/running", "yesterday");
  machine.Start();
  EXPECT_FALSE(machine.store->last_running());
}

TEST(StateLogTest, ExampleOfTheFormatDocument) {
  StateDelta delta;
  delta.head.version = 2;
  delta.head.history_id = "h";
  delta.remove.push_back({"node", "k"});
  const std::string start = EncodeLogStart("s", After({}, Put(1, "k", {"n:1"})));
  EXPECT_EQ(
      absl::BytesToHexString(start),
      "747261776c647331f57464735483199b240000000101730001016800000000000000000001046e6f6465016b"
      "01036e3a310101610162000000");
  EXPECT_EQ(absl::BytesToHexString(EncodeDelta(delta)),
            "f5746473f1abd96619000000020000020168000000000000000001046e6f6465016b00000000");
}

TEST(StateLogTest, ADeltaCostsWhatItChanges) {
  Machine machine;
  StateDelta big;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = absl::StrCat(i);
    big.upsert.emplace_back(GroupName{"node", key}, Group(key, {"n:1"}));
  }
  ASSERT_THAT(machine.store->Record("s", {}, big), IsOk());
  const size_t before = machine.OnlyLog().size();
  const SourceState state = After({}, big);
  ASSERT_THAT(machine.store->Record("s", state, Put(2, "7", {"n:2"})), IsOk());
  EXPECT_LT(machine.OnlyLog().size() - before, 100u);
}

TEST(StateLogTest, AFileIsCompactedWhenItsChangesOutweighItsSnapshot) {
  Machine machine({.slack_bytes = 1000, .reserve_bytes = 100});
  SourceState state;
  for (uint64_t version = 1; version <= 1000; ++version) {
    const StateDelta delta = Put(version, "k", {"n:1"});
    ASSERT_THAT(machine.store->Record("s", state, delta), IsOk());
    ApplyDelta(delta, state);
    ASSERT_LT(machine.files.ReadFile(machine.OnlyFile())->size(), 1400u);
  }
  machine.Start();
  EXPECT_EQ(Text(machine.restored["s"]), Text(state));
}

TEST(StateLogTest, ATornTailIsCutOffAndTheFileGoesOn) {
  Machine machine;
  const SourceState one = After({}, Put(1, "k", {"n:1"}));
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  const std::string whole = *machine.files.ReadFile(machine.OnlyFile());
  const std::string record = EncodeDelta(Put(2, "k", {"n:2"}));
  for (size_t cut = 0; cut < record.size(); ++cut) {
    machine.files.Put(machine.OnlyFile(), whole + record.substr(0, cut));
    machine.Start();
    EXPECT_EQ(Text(machine.restored["s"]), Text(one)) << cut;
    EXPECT_EQ(machine.OnlyLog(), whole);
    ASSERT_THAT(machine.store->Record("s", one, Put(3, "k", {"n:3"})), IsOk());
    machine.Start();
    EXPECT_EQ(machine.restored["s"].version, 3u);
  }
  EXPECT_EQ(machine.damaged(), 0);
  EXPECT_EQ(machine.torn(), record.size() - 1);
}

TEST(StateLogTest, ChangesAreWrittenOverZerosAlsoAfterARestart) {
  Machine machine({.reserve_bytes = 1000});
  SourceState state;
  const auto change = [&](uint64_t version) {
    const StateDelta delta = Put(version, "k", {"n:1"});
    ASSERT_THAT(machine.store->Record("s", state, delta), IsOk());
    ApplyDelta(delta, state);
  };
  change(1);
  const size_t snapshot = machine.files.ReadFile(machine.OnlyFile())->size();
  change(2);
  const size_t reserved = machine.files.ReadFile(machine.OnlyFile())->size();
  EXPECT_EQ(reserved, machine.OnlyLog().size() + 1000);
  EXPECT_GT(machine.OnlyLog().size(), snapshot);

  for (uint64_t version = 3; version < 10; ++version) {
    if (version % 2 == 0) machine.files.LosePower();
    machine.Start();
    EXPECT_EQ(machine.restored["s"].version, version - 1);
    change(version);
    EXPECT_EQ(machine.files.ReadFile(machine.OnlyFile())->size(), reserved);
  }
}

TEST(StateLogTest, WithoutRoomForZerosTheChangeAloneIsWritten) {
  Machine machine;
  const SourceState one = After({}, Put(1, "k", {"n:1"}));
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  machine.files.SetCapacity(machine.files.ReadFile(machine.OnlyFile())->size() + 1000);

  EXPECT_THAT(machine.store->Record("s", one, Put(2, "k", {"n:2"})), IsOk());

  machine.files.LosePower();
  machine.Start();
  EXPECT_EQ(machine.restored["s"].version, 2u);
}

TEST(StateLogTest, ADamagedFileIsSetAsideAndTheOthersAreUntouched) {
  Machine machine;
  for (const char* source : {"a", "b"}) {
    ASSERT_THAT(machine.store->Record(source, {}, Put(1, "k", {"n:1"})), IsOk());
    ASSERT_THAT(machine.store->Record(source, After({}, Put(1, "k", {"n:1"})), Put(2, "k", {})),
                IsOk());
  }
  const std::string path = machine.OnlyFile();
  std::string bytes = *machine.files.ReadFile(path);
  bytes[30] ^= 1;  // in the snapshot, in front of a record
  machine.files.Put(path, bytes);

  machine.Start();

  EXPECT_THAT(machine.restored, SizeIs(1));
  EXPECT_EQ(machine.damaged(), 1);
  EXPECT_THAT(machine.Files(), Contains(path.substr(sizeof kDirectory) + ".damaged"));
  EXPECT_THAT(machine.Files(), SizeIs(2));
  machine.Start();
  EXPECT_EQ(machine.damaged(), 1);
}

TEST(StateLogTest, ACopyUnderANameOfPeopleIsIgnored) {
  Machine machine;
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  const std::string path = machine.OnlyFile();
  const std::string old = *machine.files.ReadFile(path);
  const std::string stem = path.substr(0, path.size() - std::string_view(".state").size());
  for (const char* name : {"-backup", "-", "-1a", "x", ".1", " (copy)"}) {
    machine.files.Put(absl::StrCat(stem, name, ".state"), old);
  }
  ASSERT_THAT(machine.store->Record("s", After({}, Put(1, "k", {"n:1"})), Put(3, "k", {"n:3"})),
              IsOk());
  const size_t files = machine.Files().size();

  machine.Start();

  EXPECT_EQ(machine.restored["s"].version, 3u);
  EXPECT_EQ(machine.damaged(), 0);
  EXPECT_THAT(machine.Files(), SizeIs(files));
}

TEST(StateLogTest, OfTwoLogsOfASourceTheNewerOneIsUsedAndWrittenOn) {
  Machine machine;
  ASSERT_THAT(machine.store->Record("s", {}, Put(5, "k", {"n:5"})), IsOk());
  const std::string first = machine.OnlyFile();
  const std::string second = first.substr(0, first.find(".state")) + "-1.state";
  const std::string five = *machine.files.ReadFile(first);
  SourceState other;
  other.version = 9;
  other.history_id = "another";
  struct Case {
    std::string content;
    bool wins;
  };
  for (const Case& c : {Case{EncodeLogStart("s", After({}, Put(4, "k", {}))), false},
                        Case{EncodeLogStart("s", After({}, Put(5, "k", {}))), false},
                        Case{EncodeLogStart("s", After({}, Put(6, "k", {}))), true},
                        Case{EncodeLogStart("s", other), false}}) {
    machine.files.Put(first, five);
    machine.files.Put(second, c.content);
    const double damaged = machine.damaged();
    machine.Start();
    EXPECT_EQ(machine.restored["s"].version, c.wins ? 6u : 5u);
    EXPECT_EQ(machine.damaged(), damaged + 1);
    EXPECT_EQ(machine.files.ReadFile(second).ok(), c.wins);
    EXPECT_EQ(machine.files.ReadFile(first).ok(), !c.wins);

    ASSERT_THAT(machine.store->Record("s", machine.restored["s"], Put(7, "k", {"n:7"})), IsOk());
    machine.Start();
    EXPECT_EQ(machine.restored["s"].version, 7u);
    EXPECT_EQ(machine.damaged(), damaged + 1);
  }
}

TEST(StateLogTest, ADamagedFileThatCanNotHaveItsNameGetsAnother) {
  Machine machine;
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  const std::string path = machine.OnlyFile();
  machine.files.Put(path, "hello");
  machine.files.Put(path + ".damaged/of people", "");

  machine.Start();

  EXPECT_TRUE(machine.files.ReadFile(path + ".damaged.1").ok());
  EXPECT_FALSE(machine.files.ReadFile(path).ok());
}

TEST(StateLogTest, BesideWhatIsInItsWayASourceIsWrittenAllTheSame) {
  Machine machine;
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  const std::string path = machine.OnlyFile();
  ASSERT_THAT(machine.files.Remove(path), IsOk());
  machine.files.Put(path + "/of people", "");  // the fake does not rename directories
  machine.Start();
  ASSERT_THAT(machine.restored, IsEmpty());

  EXPECT_THAT(machine.store->Record("s", {}, Put(2, "k", {"n:2"})), IsOk());

  machine.files.LosePower();
  machine.Start();
  EXPECT_EQ(machine.restored["s"].version, 2u);
}

TEST(StateLogTest, ALogThatSomebodyRemovedIsWrittenAnewWithTheNextChange) {
  for (const bool directory_too : {false, true}) {
    Machine machine;
    const SourceState one = After({}, Put(1, "k", {"n:1"}));
    ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
    ASSERT_THAT(machine.store->Record("t", {}, Put(1, "k", {"n:1"})), IsOk());
    EXPECT_THAT(machine.store->Lost(), IsEmpty());
    machine.RemoveAll(directory_too);
    EXPECT_THAT(machine.store->Lost(), ElementsAre("s", "t"));

    ASSERT_THAT(machine.store->Record("s", one, Put(2, "m", {"n:2"})), IsOk());

    EXPECT_THAT(machine.store->Lost(), ElementsAre("t"));
    machine.files.LosePower();
    machine.Start();
    EXPECT_EQ(machine.damaged(), 0);
    EXPECT_EQ(Text(machine.restored["s"]), Text(After(one, Put(2, "m", {"n:2"}))));
  }
}

TEST(StateLogTest, WithoutItsDirectoryASourceIsForgottenAndTheTimeNoted) {
  Machine machine;
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  machine.RemoveAll(true);
  EXPECT_THAT(machine.store->Forget("s"), IsOk());
  machine.RemoveAll(true);
  EXPECT_THAT(machine.store->NoteRunning(absl::UnixEpoch()), IsOk());
}

TEST(StateLogTest, AnyFlippedBitInFrontOfTheLastRecordIsNoticed) {
  const std::string start = EncodeLogStart("s", After({}, Put(1, "k", {"n:1"})));
  const std::string log = start + EncodeDelta(Put(2, "k", {"n:2"})) + EncodeDelta(Put(3, "k", {}));
  ASSERT_THAT(DecodeLog(log), IsOk());
  for (size_t bit = 0; bit < 8 * (log.size() - EncodeDelta(Put(3, "k", {})).size()); ++bit) {
    std::string damaged = log;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_THAT(DecodeLog(damaged), StatusIs(absl::StatusCode::kDataLoss)) << bit;
  }
}

TEST(StateLogTest, ALastRecordThatIsThereInFullAndWrongIsDamage) {
  const std::string start = EncodeLogStart("s", After({}, Put(1, "k", {"n:1"})));
  const std::string log = start + EncodeDelta(Put(2, "k", {"n:2"}));
  for (size_t bit = 8 * start.size(); bit < 8 * log.size(); ++bit) {
    std::string damaged = log;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const auto contents = DecodeLog(damaged);
    const bool longer = contents.ok() && contents->torn;  // as if its end were missing
    const size_t in_record = bit / 8 - start.size();
    if (longer) {
      EXPECT_TRUE(in_record >= 8 && in_record < 12) << bit << " is not of the length";
    } else {
      EXPECT_THAT(contents, StatusIs(absl::StatusCode::kDataLoss)) << bit;
    }
  }
}

TEST(StateLogTest, ASectorThatWasNotWrittenIsATornWrite) {
  Machine machine;
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  const std::string whole = *machine.files.ReadFile(machine.OnlyFile());
  const std::string record = EncodeDelta(Put(2, "k", {std::string(2000, 'x')}));
  int torn = 0;
  for (const size_t zeros : {0, 100, 5000}) {  // reserved behind it
    for (size_t sector = 0; sector < 4; ++sector) {
      std::string log = whole + record + std::string(zeros, '\0');
      for (size_t i = std::max(512 * sector, whole.size()); i < 512 * (sector + 1); ++i) log[i] = 0;
      machine.files.Put(machine.OnlyFile(), log);
      machine.Start();
      EXPECT_EQ(machine.restored["s"].version, 1u);
      EXPECT_EQ(machine.OnlyLog(), whole);
      EXPECT_EQ(machine.torn(), ++torn);
    }
  }
  EXPECT_EQ(machine.damaged(), 0);
}

TEST(StateLogTest, AFileOfAnotherVersionOrKindIsDamaged) {
  for (const char* bytes : {"", "trawlds2", "trawlds1", "hello"}) {
    EXPECT_THAT(DecodeLog(bytes), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(StateLogTest, AFullDiskRefusesAndLosesNothing) {
  Machine machine;
  const SourceState one = After({}, Put(1, "k", {"n:1"}));
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  machine.files.SetCapacity(machine.files.ReadFile(machine.OnlyFile())->size() + 20);

  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(machine.store->Record("s", one, Put(2, "k", {"n:2"})),
                StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_THAT(machine.store->Record("new", {}, Put(2, "k", {"n:2"})),
                StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_EQ(machine.failures(), 6);
  machine.Start();
  EXPECT_THAT(machine.restored, SizeIs(1));
  EXPECT_EQ(Text(machine.restored["s"]), Text(one));

  machine.files.SetCapacity(1 << 20);
  EXPECT_THAT(machine.store->Record("s", one, Put(2, "k", {"n:2"})), IsOk());
  machine.files.LosePower();
  machine.Start();
  EXPECT_EQ(machine.restored["s"].version, 2u);
}

TEST(StateLogTest, AForgottenSourceDoesNotComeBack) {
  Machine machine;
  ASSERT_THAT(machine.store->Record("s", {}, Put(1, "k", {"n:1"})), IsOk());
  ASSERT_THAT(machine.store->Forget("s"), IsOk());
  EXPECT_THAT(machine.store->Forget("never was"), IsOk());
  machine.files.LosePower();
  machine.Start();
  EXPECT_THAT(machine.restored, IsEmpty());
  EXPECT_THAT(machine.Files(), IsEmpty());
}

// --- every operation fails, the power goes at every operation

// One source lives through a random life. `truth` is what was acked; `maybe` is what a restart may
// find besides: changes that failed, of which nobody knows whether they are on disk.
class Life {
 public:
  explicit Life(uint64_t seed)
      : random_(seed), machine_({.slack_bytes = Random(300), .reserve_bytes = Random(300)}) {}

  void Run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) Step();
  }

 private:
  uint64_t Random(uint64_t below) { return random_() % below; }

  void Step() {
    switch (Random(8)) {
      case 0:
        return Restart(true);
      case 1:
        return Restart(false);
      case 2:
        machine_.files.FailAfter(static_cast<int>(Random(8)), absl::InternalError("ordered"));
        break;
      case 3:
        machine_.files.SetCapacity(Random(2) == 0 ? 200 + Random(1000) : uint64_t{1} << 40);
        break;
      default:
        break;
    }
    Change(Random(2) == 0 ? "a" : "b");
  }

  void Change(const std::string& source) {
    std::optional<SourceState>& truth = truth_[source];
    const SourceState before = truth.value_or(SourceState());
    if (truth && Random(8) == 0) return Took(source, machine_.store->Forget(source), std::nullopt);
    const StateDelta delta = RandomDelta();
    Took(source, machine_.store->Record(source, before, delta), After(before, delta));
  }

  StateDelta RandomDelta() {
    StateDelta delta = Put(++version_, absl::StrCat(Random(5)),
                           std::vector<std::string>(Random(4), absl::StrCat("n:", Random(9))));
    if (Random(3) == 0) delta.head.fencing_token = Random(1000);
    if (Random(3) == 0) delta.remove.push_back({"node", absl::StrCat(Random(5))});
    if (Random(3) == 0) {
      Issue issue;
      issue.group = {"node", absl::StrCat(Random(5))};
      delta.refused.push_back(issue);
    }
    delta.head.withheld = Random(4) == 0;
    if (Random(3) == 0) {
      const HeldGroup held{{absl::StrCat("h:", Random(9))}, {}, Random(2) == 0};
      delta.held.emplace_back(GroupName{"node", absl::StrCat(Random(5))},
                              Random(2) == 0 ? nullptr : std::make_shared<const HeldGroup>(held));
    }
    if (Random(3) == 0) delta.peaks.emplace_back("node", Peaks(Random(2), Peak{1, Random(9)}));
    delta.remove_all = Random(10) == 0;
    return delta;
  }

  void Took(const std::string& source, const absl::Status& status,
            std::optional<SourceState> after) {
    if (!status.ok()) {
      maybe_[source].push_back(std::move(after));
      return;
    }
    truth_[source] = std::move(after);
    maybe_[source].clear();
  }

  // The power goes, or the process alone dies; now and then again while it starts.
  void Restart(bool power) {
    machine_.Calm();
    if (power) machine_.files.LosePower();
    if (Random(3) == 0) {
      // Not the reading: a disk that can't be read is another matter.
      machine_.files.SetCapacity(Random(2000));
      machine_.Start();
      Check();
      if (Random(2) == 0) machine_.files.LosePower();
    }
    machine_.files.SetCapacity(uint64_t{1} << 40);
    machine_.Start();
    Check();
  }

  void Check() {
    EXPECT_EQ(machine_.damaged(), 0);
    for (const char* source : {"a", "b"}) {
      std::optional<SourceState> found;
      if (machine_.restored.contains(source)) found = machine_.restored[source];
      std::vector<std::string> allowed = {TextOf(truth_[source])};
      for (const auto& maybe : maybe_[source]) allowed.push_back(TextOf(maybe));
      const std::string text = TextOf(found);
      EXPECT_TRUE(std::find(allowed.begin(), allowed.end(), text) != allowed.end())
          << absl::CHexEscape(text) << " is none of "
          << absl::CHexEscape(absl::StrJoin(allowed, "; "));
      // What was found is told to the pusher: from now on it is the truth.
      truth_[source] = found;
      maybe_[source].clear();
    }
  }

  static std::string TextOf(const std::optional<SourceState>& state) {
    return state ? Text(*state) : "none";
  }

  std::mt19937_64 random_;
  Machine machine_;
  uint64_t version_ = 0;
  std::map<std::string, std::optional<SourceState>> truth_;
  std::map<std::string, std::vector<std::optional<SourceState>>> maybe_;
};

TEST(StateLogTest, TenThousandRandomLives) {
  const char* chosen = std::getenv("TRAWL_SEED");
  const uint64_t seed = chosen != nullptr ? std::stoull(chosen) : std::random_device()();
  for (uint64_t i = 0; i < 10'000 && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("TRAWL_SEED=", seed + i));
    Life(seed + i).Run(12);
    if (chosen != nullptr) break;
  }
  RecordProperty("seed", absl::StrCat(seed));
}

// Three changes, with compactions between them; `interfere` at the n-th operation.
template <typename Interfere>
void AtEveryOperation(Interfere interfere) {
  for (int n = 0; n < 80; ++n) {
    SCOPED_TRACE(absl::StrCat("operation ", n));
    Machine machine({.slack_bytes = 40, .reserve_bytes = 60});
    machine.files.FailAfter(n, absl::InternalError("ordered"));
    SourceState truth;
    std::vector<std::string> allowed = {Text(truth)};
    for (uint64_t version = 1; version <= 8; ++version) {
      const StateDelta delta = Put(version, absl::StrCat(version % 3), {"n:1"});
      const SourceState after = After(truth, delta);
      if (machine.store->Record("s", truth, delta).ok()) {
        truth = after;
        allowed = {Text(truth)};
      } else {
        allowed.push_back(Text(after));
        if (interfere(machine)) break;
      }
    }
    machine.Calm();
    machine.Start();
    EXPECT_THAT(allowed, Contains(Text(machine.restored["s"])));
    EXPECT_EQ(machine.damaged(), 0);
  }
}

TEST(StateLogTest, AnyOperationMayFailAndTheNextChangeIsTakenAgain) {
  AtEveryOperation([](Machine&) { return false; });
}

TEST(StateLogTest, ThePowerMayGoAtAnyOperation) {
  AtEveryOperation([](Machine& machine) {
    machine.files.LosePower();
    return true;
  });
}

TEST(StateLogTest, TheProcessMayDieAtAnyOperationAndThePowerGoAfterItsStart) {
  AtEveryOperation([](Machine& machine) {
    machine.Start();
    const std::string told = Text(machine.restored["s"]);
    machine.files.LosePower();
    machine.Start();
    EXPECT_EQ(Text(machine.restored["s"]), told);
    return true;
  });
}

}  // namespace
}  // namespace trawl
