#pragma once

#include "core/base/message_stream.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// One Append stream of a lane to one storage service.
using AppendStream = MessageStream<storage::v1::AppendRequest, storage::v1::AppendResponse>;

// Opens them to one sink.
using AppendStreamFactory =
    MessageStreamFactory<storage::v1::AppendRequest, storage::v1::AppendResponse>;

}  // namespace trawl
