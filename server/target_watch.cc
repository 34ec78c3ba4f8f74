#include "server/target_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/status_conversions.h"

namespace trawl {

namespace pb = status::v1;

TargetWatch::TargetWatch(const Options& options, Deps deps, TargetFilter filter)
    : options_(options), deps_(std::move(deps)), view_(std::move(filter)) {}

TargetWatch::~TargetWatch() {
  deps_.loop.Cancel(look_timer_);
  deps_.loop.Cancel(silence_timer_);
}

void TargetWatch::Start() {
  Look();
  SendNext();
}

void TargetWatch::OnWritten() {
  deps_.loop.Cancel(std::exchange(silence_timer_, 0));
  if (std::exchange(missed_, false)) {
    Look();
    in_snapshot_ = true;
    pb::WatchTargetsResponse message;
    message.mutable_reset()->set_reason(
        absl::StrCat("nothing was read for ", absl::FormatDuration(options_.max_silence)));
    return Send(std::move(message));
  }
  SendNext();
}

void TargetWatch::Look() {
  looked_ = deps_.loop.clock().Steady();
  changes_ = view_.Advance(*deps_.pools());
  next_ = 0;
}

void TargetWatch::SendNext() {
  if (next_ < changes_.changed.size() || !changes_.removed.empty()) return SendSome();
  changes_ = TargetView::Changes();
  next_ = 0;
  if (std::exchange(in_snapshot_, false)) {
    pb::WatchTargetsResponse message;
    message.mutable_snapshot_done()->set_targets(view_.size());
    return Send(std::move(message));
  }
  const absl::Duration due = looked_ + options_.interval - deps_.loop.clock().Steady();
  look_timer_ = deps_.loop.RunAfter(std::max(due, absl::ZeroDuration()), [this] {
    look_timer_ = 0;
    Look();
    SendNext();
  });
}

// As many targets as a message holds.
void TargetWatch::SendSome() {
  pb::WatchTargetsResponse message;
  auto& targets = in_snapshot_ ? *message.mutable_snapshot_part()->mutable_targets()
                               : *message.mutable_changes()->mutable_changed();
  const size_t end = std::min(changes_.changed.size(), next_ + options_.max_message_targets);
  const auto lanes = deps_.lanes();
  for (size_t bytes = 0; next_ < end && bytes < options_.max_message_bytes; ++next_) {
    pb::Target& target = *targets.Add();
    target = view_.ToTarget(changes_.changed[next_]);
    AddRejected(lanes, target);
    bytes += target.ByteSizeLong();
  }
  if (!in_snapshot_) {
    pb::WatchTargetsResponse::Changes& changes = *message.mutable_changes();
    changes.set_merged(std::exchange(changes_.merged, 0));
    auto& removed = changes_.removed;
    for (size_t room = options_.max_message_targets; room > 0 && !removed.empty(); --room) {
      pb::TargetRef& ref = *changes.add_removed();
      ref.set_job(removed.back().job);
      ref.set_id(TargetId(removed.back().hash));
      removed.pop_back();
    }
  }
  Send(std::move(message));
}

void TargetWatch::Send(pb::WatchTargetsResponse message) {
  silence_timer_ = deps_.loop.RunAfter(options_.max_silence, [this] { GiveUp(); });
  deps_.reader.Write(std::move(message));
}

// The reader may come back; until then it costs nothing.
void TargetWatch::GiveUp() {
  silence_timer_ = 0;
  missed_ = true;
  deps_.metrics.watchers_given_up_total.Increment();
  view_.Clear();
  changes_ = TargetView::Changes();
  next_ = 0;
}

}  // namespace trawl
