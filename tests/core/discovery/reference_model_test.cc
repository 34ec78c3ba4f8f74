// Discovery over its logs, with streams, time and a disk, against ReferenceSource.

#include "tests/core/discovery/reference_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <random>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/core/discovery/discovery_world.h"

namespace trawl {
namespace {

using What = TargetSets::AcceptOptions::What;

constexpr std::array<const char*, 2> kSources = {"a", "b"};
constexpr std::array<const char*, 2> kJobs = {"node", "db"};

Discovery::Options SmallLimits() {
  Discovery::Options options;
  options.sets.plan.guard.min_removals = ReferenceSource::kMinRemovals;
  options.sets.plan.max_targets = ReferenceSource::kMaxTargets;
  return options;
}

std::string ContentOf(const Change& change) {
  std::string text = absl::StrCat(static_cast<int>(change.scope), "|");
  for (const std::string& job : change.jobs) absl::StrAppend(&text, job, ",");
  for (const JobGroup& group : change.groups) {
    absl::StrAppend(&text, "|", group.job, "/", group.group.key, "=",
                    absl::StrJoin(group.group.targets, ","), group.group.labels.ToString());
  }
  for (const GroupName& name : change.remove) absl::StrAppend(&text, "|-", name.job, "/", name.key);
  return text;
}

// All of it, for the log of a failure.
std::string TextOf(const Change& change) {
  return absl::StrCat(ContentOf(change), change.allow_shrink ? " may shrink" : "",
                      change.source_targets == 0
                          ? std::string()
                          : absl::StrCat(" of ", change.source_targets, " targets"));
}

// What happened in all sequences: a comparison in which nothing happens proves nothing.
using Seen = std::map<std::string, uint64_t>;

// One life of a trawld and those who push to it.
class Sequence {
 public:
  Sequence(uint64_t seed, Seen& seen) : random_(seed), seen_(seen), world_(SmallLimits()) {
    noted_ = world_.loop.Now();
    started_ = world_.loop.Steady();
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE(absl::StrCat("step ", i));
      Step();
      Compare();
    }
    SCOPED_TRACE(log_);
    if (::testing::Test::HasFailure()) ADD_FAILURE() << log_;
    world_.Stop();
  }

 private:
  uint64_t Random(uint64_t below) { return random_() % below; }
  bool OneIn(uint64_t n) { return Random(n) == 0; }
  ReferenceSource& Model() { return models_[source_]; }
  std::string Name() const { return kSources[source_]; }
  ReferenceSource::Time Time() const {
    return {world_.loop.Steady(), absl::ToUnixSeconds(world_.loop.Now()) / 60};
  }
  template <typename... Words>
  void Log(const Words&... words) {
    absl::StrAppend(&log_, Name(), ": ", words..., "\n");
  }

  void Step() {
    source_ = OneIn(4) ? 1 : 0;  // one of them gets further
    switch (Random(16)) {
      case 0:
      case 1:
        return PassTime();
      case 2:
        return Restart();
      case 3:
        return SetDisk();
      case 4:
        return Release();
      case 5:
        return Accept();
      case 6:
      case 7:
        return OpenStream();
      case 8:
        return CloseStream();
      case 9:
      case 10:
        return SendSnapshot();
      case 11:
        return SendChange();
      case 12:
        return Renew();
      default:
        return CallUnary();
    }
  }

  // --- what is said

  JobGroup RandomGroup() {
    JobGroup group{kJobs[Random(2)], {absl::StrCat(Random(3)), {}, {}}};
    const uint64_t first = Random(4);
    for (uint64_t i = 0, n = Random(9); i < n; ++i) {
      group.group.targets.push_back(absl::StrCat("n", first + i));
    }
    if (OneIn(12)) group.group.targets.push_back("a/b");
    if (OneIn(3)) group.group.labels = Labels{{"x", absl::StrCat(Random(2))}};
    const auto listed = Model().now.groups.find({group.job, group.group.key});
    if (listed == Model().now.groups.end() || !OneIn(4)) return group;
    // As it is.
    group.group.targets = listed->second.targets;
    group.group.labels = {};
    if (!listed->second.label.empty()) group.group.labels = Labels{{"x", listed->second.label}};
    return group;
  }

  void FillGroups(Change& change) {
    const bool empty = Model().Listed() > 2 * ReferenceSource::kMinRemovals && OneIn(3);
    if (empty) {
      NameAll(change);
    } else {
      FillGroupsAtRandom(change);
    }
    change.allow_shrink = OneIn(Model().HeldTargets() > 0 ? 4 : 10);
    const uint64_t stated = Model().now.stated;
    if (OneIn(stated == 0 ? 6 : 2)) change.source_targets = 1 + Random(30);
    if (stated != 0 && OneIn(3)) change.source_targets = stated;
  }

  // What the pusher knows looks empty.
  void NameAll(Change& change) {
    if (change.scope == Change::Scope::kJobs) change.jobs = {kJobs.begin(), kJobs.end()};
    if (change.scope != Change::Scope::kGroups) return;
    for (const auto& [name, unused] : Model().now.groups) change.remove.push_back(name);
  }

  void FillGroupsAtRandom(Change& change) {
    std::set<GroupName> names;
    for (uint64_t i = OneIn(4) ? 0 : Random(5); i > 0; --i) {
      JobGroup group = RandomGroup();
      if (names.insert({group.job, group.group.key}).second) change.groups.push_back(group);
    }
    if (change.scope == Change::Scope::kGroups) {
      for (uint64_t i = Random(3); i > 0; --i) {
        GroupName name{kJobs[Random(2)], absl::StrCat(Random(3))};
        if (names.insert(name).second) change.remove.push_back(name);
      }
    }
    if (change.scope == Change::Scope::kJobs && OneIn(2)) change.jobs = {kJobs[Random(2)]};
  }

  // A client that may write one of the jobs alone, now and then.
  ReferenceSource::Rights RandomRights() {
    if (!OneIn(4)) return nullptr;
    return std::make_shared<const JobFilter>(
        [own = kJobs[Random(2)]](std::string_view job) { return job == own; });
  }

  uint64_t RandomVersion() {
    const uint64_t version = Model().now.version;
    return OneIn(5) ? version - (version > 0 ? Random(2) : 0) : version + 1 + Random(2);
  }

  void CallUnary() {
    Change change;
    if (last_[source_] && OneIn(4)) {
      change = *last_[source_];  // it is sent again
      change.stream_id = 0;
      change.dry_run = OneIn(3);
      change.may_write = RandomRights();
      if (OneIn(3)) change.allow_shrink = !change.allow_shrink;
    } else {
      change.scope = OneIn(2) ? Change::Scope::kJobs : Change::Scope::kGroups;
      FillGroups(change);
      if (OneIn(2)) {
        change.history_id = OneIn(6) ? "other" : "h";
        change.version = RandomVersion();
        if (change.scope == Change::Scope::kGroups && OneIn(2)) {
          change.base_version = Model().now.version - (OneIn(4) ? 1 : 0);
        }
      }
      if (OneIn(6)) change.fencing_token = Random(4);
      if (OneIn(6)) change.lease = LeasePolicy{absl::Seconds(20 + 20 * Random(9)), OneIn(2)};
      change.allow_partial = OneIn(2);
      change.may_write = RandomRights();
      change.dry_run = OneIn(Model().now.withheld ? 2 : 6);
      last_[source_] = change;
    }
    change.source = Name();
    const ApplyResult result = Call(change);
    if (!change.dry_run || disk_full_ || OneIn(2)) return;
    change.dry_run = false;  // it was said beforehand
    const ApplyResult done = Call(change);
    EXPECT_EQ(done.counts.added, result.counts.added);
    EXPECT_EQ(done.counts.removed, result.counts.removed);
    EXPECT_EQ(done.counts.unchanged, result.counts.unchanged);
  }

  ApplyResult Call(const Change& change) {
    if (change.dry_run) ++seen_[Model().now.withheld ? "dry run, withheld" : "dry run"];
    const ReferenceSource::Answer expected = Model().Apply(change, ContentOf(change), Time());
    ApplyResult result = world_.Apply(change);
    Log(change.dry_run ? "dry " : "", "call v", change.version.value_or(0), " ", TextOf(change),
        change.may_write == nullptr ? "" : " of a client with rights to one job", " -> ",
        static_cast<int>(result.status));
    Expect(result, expected);
    return result;
  }

  void Expect(const ApplyResult& result, const ReferenceSource::Answer& expected) {
    ++seen_[absl::StrCat("status ", static_cast<int>(expected.status), " code ",
                         static_cast<int>(expected.code))];
    EXPECT_EQ(result.status, expected.status);
    if (expected.status == ApplyStatus::kRejected) {
      ASSERT_FALSE(result.issues.empty());
      EXPECT_EQ(result.issues[0].code, expected.code);
      return;
    }
    EXPECT_EQ(result.applied_version, expected.version);
    EXPECT_EQ(result.counts.targets, expected.listed);
    EXPECT_EQ(result.counts.held, expected.held);
    if (expected.status == ApplyStatus::kNoop) {
      EXPECT_EQ(result.counts.unchanged, expected.listed);
    }
  }

  // --- streams

  void OpenStream() {
    const uint64_t stream = world_.discovery->NextStreamId();
    const std::string instance = OneIn(3) ? "r2" : "r1";
    std::optional<uint64_t> token;
    if (Model().now.token || OneIn(5)) token = Model().now.token.value_or(0) + Random(2);
    if (OneIn(8)) token = Random(4);
    StreamHello hello;
    hello.source = Name();
    hello.instance = instance;
    hello.fencing_token = token;
    hello.history_id = OneIn(8) ? "other" : "h";
    hello.version = std::max<uint64_t>(Model().now.version + Random(3), 1) - 1;
    if (OneIn(6)) hello.lease = LeasePolicy{absl::Seconds(20 + 20 * Random(9)), OneIn(2)};
    hello.stream_id = stream;
    hello.may_write = rights_[stream] = RandomRights();
    const auto need = Model().NeedOf(hello.history_id, hello.version);
    const bool welcome = Model().Hello(hello, Time());
    peers_.push_back(std::make_unique<RecordingSyncPeer>());
    histories_[stream] = hello.history_id;
    world_.SayHello(stream, *peers_.back(), hello);
    Log("hello ", stream, " ", instance, " t", token ? absl::StrCat(*token) : "-", " v",
        hello.version, welcome ? " welcome" : " refused");
    const auto welcomed = peers_.back()->Last<SyncWelcome>();
    ASSERT_EQ(welcomed.has_value(), welcome);
    if (!welcome) return world_.CloseStream(stream);
    peer_of_[stream] = peers_.back().get();
    EXPECT_EQ(welcomed->hello.applied_version, Model().now.version);
    EXPECT_EQ(welcomed->hello.withheld, Model().now.withheld);
    ExpectNeed(welcomed->hello.need, need);
  }

  void ExpectNeed(SyncNeed need, ReferenceSource::Need expected) {
    using Need = ReferenceSource::Need;
    ++seen_[absl::StrCat("need ", static_cast<int>(need))];
    EXPECT_EQ(need, expected == Need::kNothing ? SyncNeed::kNothing
                    : expected == Need::kDelta ? SyncNeed::kDelta
                                               : SyncNeed::kSnapshot);
  }

  // The answer to a change that was said on the stream: a rejection for the version is followed by
  // a resync, and nothing else is.
  void ExpectOnStream(const std::optional<SyncAck>& ack, const ReferenceSource::Answer& expected,
                      uint64_t stream, uint64_t version) {
    if (!ack) return;
    Expect(ack->result, expected);
    const auto* resync = std::get_if<SyncResync>(&peer_of_[stream]->sent.back().message);
    const bool parted =
        expected.code == IssueCode::kVersionGap || expected.code == IssueCode::kNoSnapshot;
    ASSERT_EQ(resync != nullptr, parted);
    if (resync == nullptr) return;
    ++seen_["resync"];
    EXPECT_EQ(resync->applied_version, Model().now.version);
    EXPECT_EQ(resync->history_id, Model().now.history);
    const auto need = Model().NeedOf(histories_[stream], version);
    ExpectNeed(resync->need,
               need == ReferenceSource::Need::kNothing ? ReferenceSource::Need::kSnapshot : need);
  }

  void CloseStream() {
    if (Model().stream == 0) return;
    Log("stream ", Model().stream, " breaks");
    world_.CloseStream(Model().stream);
    Model().EndStream();
  }

  std::optional<SyncAck> Say(
      std::variant<SyncBegin, SyncPart, SyncEnd, SyncDelta, SyncHeartbeat> message) {
    const uint64_t stream = Model().stream;
    SyncInput input{++next_id_, SyncHeartbeat{}};
    std::visit([&](auto& m) { input.message = std::move(m); }, message);
    world_.Say(stream, std::move(input));
    Model().Hear(Time());
    auto ack = peer_of_[stream]->Last<SyncAck>();
    EXPECT_TRUE(ack && ack->id == next_id_);
    return ack;
  }

  Change OfStream(Change::Scope scope) {
    Change change;
    change.source = Name();
    change.scope = scope;
    change.stream_id = Model().stream;
    change.history_id = histories_[Model().stream];
    change.may_write = rights_[Model().stream];
    change.allow_partial = true;
    FillGroups(change);
    return change;
  }

  // Cut at any message; now and then overtaken by a delta of its own stream.
  void SendSnapshot() {
    if (Model().stream == 0) return OpenStream();
    Change change = OfStream(Change::Scope::kSource);
    change.version = RandomVersion();
    const uint64_t begun_at = Model().now.version;
    const uint64_t cut = Random(20);
    Log("snapshot v", *change.version, " ", TextOf(change), " cut ", cut);
    Say(SyncBegin{*change.version, change.groups.size(), 10'000, change.allow_shrink,
                  change.source_targets});
    if (cut == 0) return CloseStream();
    for (size_t i = 0; i < change.groups.size(); ++i) {
      Say(SyncPart{{change.groups[i]}, 100});
      if (cut == 1 + i) return CloseStream();
      Compare();
    }
    if (OneIn(8)) SendDelta();
    const uint64_t version = Model().now.version;
    ReferenceSource::Answer expected{ApplyStatus::kRejected, IssueCode::kNoSnapshot};
    if (version == begun_at) expected = Model().Apply(change, ContentOf(change), Time());
    const uint64_t stream = Model().stream;
    const auto ack = Say(SyncEnd{});
    ExpectOnStream(ack, expected, stream, *change.version);
  }

  // Most clients know when a delta would be of no use.
  void SendChange() {
    const bool gap = histories_[Model().stream] != Model().now.history;
    if (gap && !OneIn(4)) return SendSnapshot();
    SendDelta();
  }

  void SendDelta() {
    if (Model().stream == 0) return OpenStream();
    Change change = OfStream(Change::Scope::kGroups);
    change.base_version = Model().now.version + (OneIn(8) ? 1 : 0);
    change.version = OneIn(8) ? Model().now.version : Model().now.version + 1 + Random(2);
    if (OneIn(12) && *change.base_version > 1) change.version = --*change.base_version;  // behind
    SayDelta(change);
    while (OneIn(Model().HeldTargets() > 0 ? 2 : 3)) {  // it is said again, perhaps as meant
      change.allow_shrink = OneIn(2);
      SayDelta(change);
    }
    last_[source_] = change;
  }

  void SayDelta(const Change& change) {
    const uint64_t stream = Model().stream;
    const uint64_t held = Model().HeldTargets();
    const bool again = change.version == Model().now.version;
    const ReferenceSource::Answer expected = Model().Apply(change, ContentOf(change), Time());
    if (again && Model().HeldTargets() < held) ++seen_["confirmed by a repeat"];
    const auto ack = Say(SyncDelta{*change.base_version, *change.version, change.groups,
                                   change.remove, change.allow_shrink, change.source_targets});
    Log("delta ", *change.base_version, " v", *change.version, " ", TextOf(change), " -> ",
        ack ? static_cast<int>(ack->result.status) : -1);
    ExpectOnStream(ack, expected, stream, *change.version);
  }

  // --- operators

  void Release() {
    TargetSets::ReleaseOptions options;
    if (OneIn(2)) options.fencing_token = Model().now.token;
    options.remove_targets = OneIn(2);
    options.force = OneIn(2);
    options.may_write = RandomRights();
    const bool released = Model().Release(options);
    Log("release ", options.remove_targets, options.force, " -> ", released);
    EXPECT_EQ(world_.Release(Name(), options).ok(), released);
  }

  void Accept() {
    if (!Model().known) return;
    const uint64_t what = Random(3);
    Log("accept ", what);
    if (what == 2) {
      Model().Confirm();
    } else {
      Model().CarryOut(what == 1);
    }
    world_
        .Accept(Name(), what == 2   ? What::kRestored
                        : what == 1 ? What::kDiscardRemovals
                                    : What::kRemovals)
        .IgnoreError();
  }

  // --- the world

  void PassTime() {
    const absl::Duration time = absl::Seconds(5 * (1 + (OneIn(3) ? Random(150) : Random(20))));
    Log("time passes: ", absl::FormatDuration(time));
    if (OneIn(6)) world_.loop.StepWall(absl::Minutes(static_cast<int64_t>(Random(40)) - 20));
    Advance(time);
  }

  void Advance(absl::Duration time) {
    world_.loop.Advance(time);
    for (ReferenceSource& model : models_) {
      const uint64_t held = model.HeldTargets();
      if (model.Pass(Time())) ++seen_["expired"];
      if (model.HeldTargets() < held) ++seen_["carried out"];
    }
    if (disk_full_) return;
    const absl::Duration since_tick = (world_.loop.Steady() - started_) % absl::Minutes(1);
    const absl::Time tick = world_.loop.Now() - since_tick;
    if (world_.loop.Steady() - started_ < absl::Minutes(1) || since_tick >= time) return;
    noted_ = tick;
    for (ReferenceSource& model : models_) model.NoteTick();
  }

  // The pusher stands by what it said.
  void Renew() {
    if (Model().HeldTargets() == 0) return SendChange();
    const uint64_t times = Random(20);
    Log("renews ", times, " times");
    for (uint64_t i = 0; i < times; ++i) {
      Advance(absl::Seconds(20));
      if (Model().stream != 0) {
        Say(SyncHeartbeat{});
        continue;
      }
      Change renewal;
      renewal.source = Name();
      renewal.fencing_token = Model().now.token;
      Expect(world_.Apply(renewal), Model().Apply(renewal, ContentOf(renewal), Time()));
    }
  }

  void SetDisk() {
    disk_full_ = OneIn(3);
    Log(disk_full_ ? "the disk is full" : "the disk has room");
    world_.files.SetCapacity(disk_full_ ? 0 : uint64_t{1} << 40);
    for (ReferenceSource& model : models_) model.disk_full = disk_full_;
  }

  void Restart() {
    world_.Stop();
    if (OneIn(2)) world_.files.LosePower();
    if (OneIn(2)) world_.loop.Advance(OneIn(2) ? absl::Minutes(10) : absl::Hours(2));
    const absl::Duration since = world_.loop.Now() - noted_;
    const bool away = since > absl::Hours(1) || since < -absl::Minutes(1);
    Log("restart", away ? ", after long" : "");
    world_.Start();
    started_ = world_.loop.Steady();
    if (!disk_full_) noted_ = world_.loop.Now();
    for (ReferenceSource& model : models_) model.Restart(away, Time());
    peers_.clear();
  }

  // --- what there is

  void Compare() {
    const size_t speaking = source_;
    for (source_ = 0; source_ < kSources.size(); ++source_) CompareOne();
    source_ = speaking;
  }

  void CompareOne() {
    const TargetSets& sets = world_.discovery->sets();
    std::multiset<std::string> wanted;
    for (const char* job : kJobs) {
      const std::shared_ptr<const DesiredTargets> desired = sets.Desired(job);
      for (const OwnedGroup& group : desired->groups) {
        if (group.group->withheld) continue;
        if (group.source != Name()) continue;
        for (const std::string& target : group.group->targets) {
          wanted.insert(absl::StrCat(job, " ", target, " ", group.group->labels.Get("x")));
        }
      }
    }
    EXPECT_EQ(wanted, Model().Wanted());
    if (Model().HeldTargets() > 0) ++seen_["held"];
    if (Model().now.withheld) ++seen_["withheld"];
    ASSERT_EQ(sets.CountsOf(Name()).has_value(), Model().known);
    EXPECT_EQ(sets.AppliedVersion(Name()), Model().now.version);
    EXPECT_EQ(sets.HistoryId(Name()), Model().now.history);
    EXPECT_EQ(sets.Withheld(Name()), Model().now.withheld);
    EXPECT_EQ(sets.Holder(Name()), Model().stream);
    if (!Model().known) return;
    EXPECT_EQ(sets.CountsOf(Name())->targets, Model().Listed());
    EXPECT_EQ(sets.CountsOf(Name())->held, Model().HeldTargets());
    EXPECT_EQ(sets.CountsOf(Name())->groups, Model().now.groups.size());
  }

  std::mt19937_64 random_;
  Seen& seen_;
  std::vector<std::unique_ptr<RecordingSyncPeer>> peers_;
  DiscoveryWorld world_;
  std::array<ReferenceSource, kSources.size()> models_;
  size_t source_ = 0;
  bool disk_full_ = false;
  absl::Time noted_;
  absl::Duration started_;
  std::array<std::optional<Change>, kSources.size()> last_;
  std::map<uint64_t, RecordingSyncPeer*> peer_of_;
  std::map<uint64_t, std::string> histories_;
  std::map<uint64_t, ReferenceSource::Rights> rights_;
  uint64_t next_id_ = 1;
  std::string log_;
};

TEST(ReferenceModelTest, TenThousandRandomSequencesDoWhatTheModelDoes) {
  const char* chosen = std::getenv("TRAWL_SEED");
  const char* size = std::getenv("TRAWL_TEST_SIZE");
  const bool is_long = size != nullptr && std::string_view(size) == "long";
  const uint64_t seed = chosen != nullptr ? std::stoull(chosen) : std::random_device()();
  Seen seen;
  for (uint64_t i = 0; i < 10'000 && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("TRAWL_SEED=", seed + i));
    Sequence(seed + i, seen).Run(is_long ? 100 : 12);
    if (chosen != nullptr) return;
  }
  RecordProperty("seed", absl::StrCat(seed));
  // Of the rarest some 30 are seen; without any the sequences miss a part of the model.
  for (const char* what :
       {"held", "withheld", "expired", "carried out", "confirmed by a repeat", "resync", "need 1",
        "need 2", "need 3", "dry run", "dry run, withheld"}) {
    EXPECT_GT(seen[what], 3u) << what;
  }
  // By status and IssueCode: applied, in part, no-op; and each reason to reject.
  for (const char* what :
       {"status 0 code 0", "status 1 code 0", "status 2 code 0", "status 3 code 2",
        "status 3 code 7", "status 3 code 8", "status 3 code 10", "status 3 code 11",
        "status 3 code 14", "status 3 code 16", "status 3 code 17", "status 3 code 18",
        "status 3 code 19", "status 3 code 21"}) {
    EXPECT_GT(seen[what], 3u) << what;
  }
}

}  // namespace
}  // namespace trawl
