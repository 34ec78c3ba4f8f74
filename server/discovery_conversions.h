#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/discovery/change.h"
#include "core/discovery/sync_session.h"
#include "core/discovery/target_sets.h"
#include "trawl/discovery/v1/discovery.pb.h"

namespace trawl {

// Between trawl.discovery.v1 and core/discovery. They translate and decide nothing. Pure.

// `peer` is the client's network address, for people. Groups without a key are keyed by their
// position among their job's groups, if none of that job has one.
Change ToChange(const discovery::v1::PushRequest& request, const std::string& peer);
Change ToChange(const discovery::v1::UpdateRequest& request, const std::string& peer);
// A message of no known kind becomes std::monostate, which ends the stream.
SyncInput ToSyncInput(const discovery::v1::SyncRequest& request, const std::string& peer);

// An enum value that is not known becomes kUnspecified.
TargetSets::AcceptOptions ToAccept(const discovery::v1::AcceptHeldRequest& request);

JobGroup ToJobGroup(const discovery::v1::TargetGroup& group);
discovery::v1::TargetGroup ToProto(const std::string& job, const TargetGroup& group);
discovery::v1::Issue ToProto(const Issue& issue);
discovery::v1::Counts ToProto(const SourceCounts& counts);
discovery::v1::Ack ToProto(const ApplyResult& result);
discovery::v1::Ack ToProto(const SyncAck& ack);
discovery::v1::Resync ToProto(const SyncResync& resync);
discovery::v1::Goaway ToProto(const SyncGoaway& goaway);
discovery::v1::Want ToProto(const SyncWant& want);
discovery::v1::LeasePolicy ToProto(const LeasePolicy& lease);

// An issue of a group that was refused earlier: its field is relative to the group.
discovery::v1::Issue RefusedToProto(const Issue& issue);

// Now, and when a lease without a length ends.
struct SourceClock {
  absl::Time now;
  absl::Duration default_lease;
};
discovery::v1::Source ToProto(const SourceView& view, const SourceClock& clock);

// The status of a unary call that was rejected: every error as `path: text`, as many as fit into
// a status, and how many there are. Precondition: result.status is kRejected.
absl::Status RejectionStatus(const ApplyResult& result);

}  // namespace trawl
