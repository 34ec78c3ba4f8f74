#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/append/sink.h"
#include "core/base/file_system.h"

namespace trawl {

// Which sinks there are, from where on each gets records, and which were given up for it: a file in
// the data directory (`sinks`), so that the next run knows whose what this one left is.
//
// FORMAT, in lines: `trawl-sinks 2`; for each sink `sink ID EPOCH "NAME"`, followed by its `start
// LANE NUMBER` and `skip EPOCH LANE NUMBER`; at the end `crc32c HEX`, over all before. ID is the
// hash of what a sink is (SinkSpec::Id); the name, as GoQuote writes it, is for people.
// In format 1 the ID was of the address, too. It is read, and its sinks are found by their names.
// A program that knows only that format takes this one for damaged, and sends all to all.
// Main thread only.
class SinkRegistry {
 public:
  struct Entry {
    std::string name;          // read from the file: as it stands between its quotes
    uint64_t since_epoch = 0;  // the run that added it; older ones are none of its
    // In that run: the first number that is for it, by lane. None: 1.
    std::map<uint32_t, uint64_t> starts;
    std::map<EpochLane, std::set<uint64_t>> skipped;

    // What of a lane is for the sink, from where on; 0: nothing.
    uint64_t StartOf(const EpochLane& lane) const;
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  // Reads the file. One that is damaged, or not there, is told in the log: the sinks of this run
  // then count as having been there from the beginning, as losing records is worse than sending
  // some that a sink never asked for.
  SinkRegistry(FileSystem& files, std::string path);

  // Null: it is new. While nothing is known every sink has always been there.
  const Entry* Find(const std::string& id, std::string_view name) const;
  bool knows_all() const { return !lost_; }

  void Set(const std::string& id, Entry entry) { entries_[id] = std::move(entry); }
  void Skip(const std::string& id, const EpochLane& lane, uint64_t number);
  void Remove(const std::string& id) { entries_.erase(id); }
  // Only these are left; the names of those that went. What is of epochs that are gone is
  // forgotten: all but those of `epochs`.
  std::vector<std::string> Keep(const std::set<std::string>& ids, const std::set<uint64_t>& epochs);
  // Writes what changed, synced. After an error the file is the old or the new one, and the next
  // Save writes it.
  absl::Status Save();

 private:
  std::string Encode() const;
  absl::Status Decode(std::string_view text);

  FileSystem& files_;
  const std::string path_;
  std::map<std::string, Entry> entries_;      // by id
  std::map<std::string, Entry> old_entries_;  // of a file of format 1, by quoted name
  std::string saved_;
  bool lost_ = false;
};

}  // namespace trawl
