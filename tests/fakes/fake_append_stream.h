#pragma once

#include "core/append/append_stream.h"
#include "tests/fakes/fake_message_stream.h"

namespace trawl {

// An AppendStream whose store is the test.
using FakeAppendStreamFactory =
    FakeMessageStreamFactory<storage::v1::AppendRequest, storage::v1::AppendResponse>;

}  // namespace trawl
