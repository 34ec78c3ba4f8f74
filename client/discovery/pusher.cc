#include "client/discovery/pusher.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/random/distributions.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace trawl {

namespace pb = discovery::v1;

namespace {

constexpr size_t kMaxProblems = 20;
// Divisions that are remembered of one trawld while its targets are handed over.
constexpr size_t kMaxFormers = 8;
// A release is refused while a stream holds the source. The own one may take a moment to end;
// afterwards it is another pusher's, or this one's under another name of the same trawld.
constexpr int kMaxRefusals = 5;

std::string RandomId(absl::BitGenRef random) {
  return absl::StrCat(absl::Hex(absl::Uniform<uint64_t>(random), absl::kZeroPad16));
}

}  // namespace

Pusher::Pusher(const Options& options, const Deps& deps)
    : options_(options),
      deps_(deps),
      history_base_(RandomId(deps.random)),
      fencing_token_(options.identity.fencing_token) {}

Pusher::~Pusher() {
  deps_.loop.Cancel(tell_timer_);
  for (auto& [address, leaver] : leavers_) deps_.loop.Cancel(leaver.timer);
}

// ---- Who scrapes

absl::Status Pusher::SetTrawlds(Division division, const std::vector<std::string>& leaving) {
  if (division.addresses().empty()) {
    return absl::InvalidArgumentError("no trawld is given: at least one address is needed");
  }
  const std::set<std::string> wanted(division.addresses().begin(), division.addresses().end());
  for (const std::string& address : leaving) {
    if (!wanted.contains(address) && !leavers_.contains(address)) AddLeaver(address, nullptr);
  }
  if (division == division_) return absl::OkStatus();
  const Division before = std::exchange(division_, std::move(division));
  std::map<std::string, std::unique_ptr<Trawld>> known;
  for (size_t i = 0; i < trawlds_.size(); ++i)
    known[before.addresses()[i]] = std::move(trawlds_[i]);
  trawlds_.clear();
  for (const std::string& address : division_.addresses()) {
    auto old = known.extract(address);
    if (old.empty()) {
      Add(address);
    } else {
      NoteFormer(*old.mapped(), before);
      trawlds_.push_back(std::move(old.mapped()));
    }
  }
  for (auto& [address, trawld] : known) {
    trawld->session.reset();
    if (!leavers_.contains(address)) AddLeaver(address, std::move(trawld->peer));
  }
  if (filled_) StartAll();
  TellChanged();
  return absl::OkStatus();
}

void Pusher::Add(const std::string& address) {
  auto leaver = leavers_.find(address);
  if (leaver != leavers_.end()) {
    deps_.loop.Cancel(leaver->second.timer);
    leavers_.erase(leaver);
  }
  auto trawld = std::make_unique<Trawld>();
  trawld->peer = deps_.peers.Connect(address);
  PushSession::Identity identity = options_.identity;
  identity.fencing_token = fencing_token_;
  identity.one_of_several = division_.addresses().size() > 1;
  trawld->session = std::make_unique<PushSession>(
      address, identity, options_.session,
      PushSession::Deps{deps_.loop, deps_.random, *this, trawld->peer->streams()});
  trawlds_.push_back(std::move(trawld));
}

void Pusher::AddLeaver(const std::string& address, std::unique_ptr<DiscoveryPeer> peer) {
  if (peer == nullptr) peer = deps_.peers.Connect(address);
  leavers_.emplace(address, Leaver{std::move(peer), Backoff(options_.session.backoff)});
  LogInfo("trawld leaves, its targets go to the others",
          {{"address", address}, {"source", options_.identity.source}});
  ReleaseLeavers();
}

void Pusher::NoteFormer(Trawld& trawld, const Division& former) {
  std::vector<Division>& formers = trawld.formers;
  if (former == division_) return;
  if (std::find(formers.begin(), formers.end(), former) != formers.end()) return;
  if (formers.size() == kMaxFormers) formers.erase(formers.begin());
  formers.push_back(former);
}

std::string Pusher::HistoryId(const Trawld& trawld) const {
  // Of the address its hash, as it may have any character: another's share is another history.
  std::string id = absl::StrCat(
      history_base_, "-", absl::Hex(XxHash64(trawld.session->address()), absl::kZeroPad16), "/");
  for (const Division& former : trawld.formers) absl::StrAppend(&id, former.ToText(), "|");
  return id + division_.ToText();
}

// Divisions that an earlier run, or this one, wrote into a history id.
bool Pusher::NoteHistory(Trawld& trawld, std::string_view history) {
  const size_t slash = history.find('/');
  if (slash == std::string_view::npos || history == trawld.handed_over) return false;
  for (const std::string_view text : absl::StrSplit(history.substr(slash + 1), '|')) {
    const std::optional<Division> former = Division::FromText(text);
    if (!former) continue;
    NoteFormer(trawld, *former);
    WarnOfStrangers(*former);
  }
  return HistoryId(trawld) != trawld.session->history_id();
}

void Pusher::WarnOfStrangers(const Division& former) const {
  const std::vector<std::string>& known = division_.addresses();
  for (const std::string& address : former.addresses()) {
    if (leavers_.contains(address) || std::binary_search(known.begin(), known.end(), address)) {
      continue;
    }
    LogWarn(
        "An earlier run divided the targets over a trawld that is not given now: it may still "
        "scrape its own",
        {{"address", address}, {"source", options_.identity.source}});
  }
}

void Pusher::StartAll() {
  for (const auto& trawld : trawlds_) {
    trawld->labels.reset();
    Start(*trawld);
  }
  DivideAll();
}

void Pusher::Start(Trawld& trawld) {
  trawld.was_settled = false;
  trawld.session->SetSourceTargets(trawlds_.size() > 1 ? targets_ : 0);
  trawld.session->Start(HistoryId(trawld));
}

void Pusher::SetFencingToken(std::optional<uint64_t> token) {
  fencing_token_ = token;
  for (const auto& trawld : trawlds_) trawld->session->SetFencingToken(token);
}

// ---- What is to be scraped

absl::Status Pusher::CheckGroups(const std::vector<pb::TargetGroup>& groups) {
  std::vector<std::string> problems;
  std::set<GroupId> seen;
  for (size_t i = 0; i < groups.size() && problems.size() < kMaxProblems; ++i) {
    const pb::TargetGroup& group = groups[i];
    const std::string where = absl::StrCat("groups[", i, "]");
    if (group.job().empty()) problems.push_back(where + ".job: a job is required");
    if (group.key().empty()) problems.push_back(where + ".key: a key is required");
    if (!seen.insert(IdOf(group)).second) {
      problems.push_back(absl::StrCat(where, ": job ", GoQuote(group.job()), " has key ",
                                      GoQuote(group.key()), " twice"));
    }
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(problems, "; "));
}

absl::Status Pusher::Replace(std::vector<pb::TargetGroup> groups, const ChangeOptions& options) {
  absl::Status checked = CheckGroups(groups);
  if (!checked.ok()) return checked;
  std::set<GroupId> wanted;
  for (const pb::TargetGroup& group : groups) wanted.insert(IdOf(group));
  std::vector<GroupId> gone;
  for (const auto& [id, group] : groups_) {
    if (!wanted.contains(id)) gone.push_back(id);
  }
  for (const GroupId& id : gone) Remove(id);
  for (pb::TargetGroup& group : groups) {
    Put(std::make_shared<const pb::TargetGroup>(std::move(group)));
  }
  const bool first = !std::exchange(filled_, true);
  FinishChange(options);
  if (first) StartAll();
  return absl::OkStatus();
}

absl::Status Pusher::Update(std::vector<pb::TargetGroup> upsert, const std::vector<GroupId>& remove,
                            const ChangeOptions& options) {
  absl::Status checked = CheckGroups(upsert);
  if (!checked.ok()) return checked;
  for (const GroupId& id : remove) Remove(id);
  for (pb::TargetGroup& group : upsert) {
    Put(std::make_shared<const pb::TargetGroup>(std::move(group)));
  }
  FinishChange(options);
  return absl::OkStatus();
}

void Pusher::Put(GroupPtr group) {
  GroupPtr& held = groups_[IdOf(*group)];
  if (held != nullptr && SameGroup(*held, *group)) return;
  if (held != nullptr) targets_ -= static_cast<size_t>(held->targets_size());
  targets_ += static_cast<size_t>(group->targets_size());
  held = std::move(group);
  Divide(held);
}

void Pusher::Remove(const GroupId& id) {
  auto it = groups_.find(id);
  if (it == groups_.end()) return;
  targets_ -= static_cast<size_t>(it->second->targets_size());
  groups_.erase(it);
  for (const auto& trawld : trawlds_) trawld->session->share().Remove(id);
}

void Pusher::FinishChange(const ChangeOptions& options) {
  for (const auto& trawld : trawlds_) {
    trawld->session->SetSourceTargets(trawlds_.size() > 1 ? targets_ : 0);
    if (options.allow_shrink) trawld->session->AllowShrink();
    trawld->session->Wake();
  }
  TellChanged();
}

// ---- The division

void Pusher::Divide(const GroupPtr& group) {
  std::vector<std::vector<int>> shares(trawlds_.size());  // indices of targets
  std::vector<size_t> owners;
  const bool hands_over = HandsOver();
  for (int i = 0; i < group->targets_size(); ++i) {
    const std::string& target = group->targets(i);
    division_.FindOwners(group->job(), target, owners);
    for (const size_t owner : owners) shares[owner].push_back(i);
    if (!hands_over) continue;
    for (size_t k = 0; k < trawlds_.size(); ++k) {
      const bool own = std::find(owners.begin(), owners.end(), k) != owners.end();
      if (!own && Carries(*trawlds_[k], owners, group->job(), target)) shares[k].push_back(i);
    }
  }
  for (size_t k = 0; k < trawlds_.size(); ++k) {
    Share& share = trawlds_[k]->session->share();
    if (shares[k].empty()) {
      share.Remove(IdOf(*group));
    } else if (shares[k].size() == static_cast<size_t>(group->targets_size())) {
      share.Put(group);
    } else {
      auto part = std::make_shared<pb::TargetGroup>();
      part->set_job(group->job());
      part->set_key(group->key());
      *part->mutable_labels() = group->labels();
      for (const int i : shares[k]) part->add_targets(group->targets(i));
      share.Put(std::move(part));
    }
  }
}

void Pusher::DivideAll() {
  for (const auto& [id, group] : groups_) Divide(group);
  for (const auto& trawld : trawlds_) trawld->session->Wake();
}

bool Pusher::HandsOver() const {
  return std::any_of(trawlds_.begin(), trawlds_.end(),
                     [](const auto& trawld) { return !trawld->formers.empty(); });
}

bool Pusher::AllSettled() const {
  return filled_ && std::all_of(trawlds_.begin(), trawlds_.end(),
                                [](const auto& trawld) { return trawld->session->settled(); });
}

bool Pusher::Carries(const Trawld& trawld, const std::vector<size_t>& owners,
                     const std::string& job, const std::string& target) const {
  const bool waits = std::any_of(owners.begin(), owners.end(), [&](size_t owner) {
    return !trawlds_[owner]->session->settled();
  });
  return waits &&
         std::any_of(trawld.formers.begin(), trawld.formers.end(), [&](const Division& former) {
           return former.Owns(trawld.session->address(), job, target);
         });
}

// A trawld has its targets now: those that carried them may let go. When all have theirs, the
// former divisions go out of the history ids.
void Pusher::EndHandOver() {
  std::vector<Trawld*> carried;
  if (AllSettled()) {
    for (const auto& trawld : trawlds_) {
      if (trawld->formers.empty()) continue;
      trawld->formers.clear();
      trawld->handed_over = trawld->session->history_id();
      carried.push_back(trawld.get());
    }
  }
  for (Trawld* trawld : carried) Start(*trawld);
  DivideAll();
}

Pusher::Trawld& Pusher::Find(const PushSession& session) {
  const auto& addresses = division_.addresses();
  const auto at = std::lower_bound(addresses.begin(), addresses.end(), session.address());
  return *trawlds_[static_cast<size_t>(at - addresses.begin())];
}

absl::Status Pusher::OnWelcome(PushSession& session, const pb::Welcome& welcome) {
  Trawld& trawld = Find(session);
  const ExternalLabels labels(welcome.external_labels().begin(), welcome.external_labels().end());
  trawld.labels.reset();
  absl::Status distinct = CheckLabels(trawld, labels);
  if (!distinct.ok()) return distinct;
  trawld.labels = labels;
  if (welcome.counts().targets() == 0) return absl::OkStatus();
  if (NoteHistory(trawld, welcome.history_id())) Start(trawld);
  if (HandsOver()) DivideAll();
  return absl::OkStatus();
}

absl::Status Pusher::CheckLabels(const Trawld& trawld, const ExternalLabels& labels) const {
  if (division_.replicas() < 2) return absl::OkStatus();
  for (const auto& other : trawlds_) {
    if (other.get() == &trawld || other->labels != labels) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("external_labels are those of trawld ", other->session->address(), ": with ",
                     division_.replicas(),
                     " replicas each series would be written twice; give each trawld an "
                     "external label of its own"));
  }
  return absl::OkStatus();
}

void Pusher::OnPushed(PushSession& session) {
  Trawld& trawld = Find(session);
  if (session.settled() && !std::exchange(trawld.was_settled, true)) {
    if (HandsOver()) EndHandOver();
    ReleaseLeavers();
  }
  TellChanged();
}

// ---- Addresses that left

void Pusher::ReleaseLeavers() {
  if (leavers_.empty() || trawlds_.empty() || !AllSettled()) return;
  for (auto& [address, leaver] : leavers_) {
    if (leaver.asking || leaver.timer != 0) continue;
    leaver.timer =
        deps_.loop.RunAfter(absl::ZeroDuration(), [this, name = address] { AskRelease(name); });
  }
}

void Pusher::AskRelease(const std::string& address) {
  Leaver& leaver = leavers_.at(address);
  leaver.timer = 0;
  if (!AllSettled()) return;  // the addresses changed again
  leaver.asking = true;
  pb::ReleaseRequest request;
  request.set_source(options_.identity.source);
  request.set_remove_targets(true);
  if (fencing_token_) request.set_fencing_token(*fencing_token_);
  leaver.peer->Release(
      request, [this, address](const absl::Status& status) { OnReleased(address, status); });
}

void Pusher::OnReleased(const std::string& address, const absl::Status& status) {
  Leaver& leaver = leavers_.at(address);
  leaver.asking = false;
  if (absl::IsFailedPrecondition(status)) ++leaver.refusals;
  TellChanged();
  if (status.ok() || absl::IsNotFound(status) || leaver.refusals == kMaxRefusals) {
    Log(leaver.refusals == kMaxRefusals ? LogLevel::kWarn : LogLevel::kInfo,
        leaver.refusals == kMaxRefusals ? "trawld that left keeps its targets" : "trawld released",
        {{"address", address}, {"source", options_.identity.source}, {"err", status}});
    leavers_.erase(address);
    return;
  }
  leaver.last_error = status;
  leaver.last_error_time = deps_.loop.clock().Now();
  leaver.timer = deps_.loop.RunAfter(leaver.backoff.Next(deps_.random),
                                     [this, address] { AskRelease(address); });
}

// ---- What is told

PusherStatus Pusher::Snapshot() const {
  PusherStatus status;
  status.groups = groups_.size();
  status.targets = targets_;
  for (const auto& trawld : trawlds_) status.trawlds.push_back(trawld->session->Snapshot());
  for (const auto& [address, leaver] : leavers_) {
    TrawldStatus& entry = status.trawlds.emplace_back();
    entry.address = address;
    entry.state = PushState::kReleasing;
    entry.last_error = leaver.last_error;
    entry.last_error_time = leaver.last_error_time;
  }
  return status;
}

void Pusher::TellChanged() {
  if (tell_timer_ != 0) return;
  tell_timer_ = deps_.loop.RunAfter(absl::ZeroDuration(), [this] {
    tell_timer_ = 0;
    deps_.listener.OnPusherChanged();
  });
}

}  // namespace trawl
