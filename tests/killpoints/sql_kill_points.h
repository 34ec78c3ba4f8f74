#pragma once

#include <functional>
#include <string>

namespace trawl {

// From now on every connection to SQLite tells of each of its statements that changes something,
// before it begins and when it is done: "before INSERT INTO scrapes", "after COMMIT". On the thread
// that runs the statement; may end the process. Once a process.
void TellOfSqlStatements(std::function<void(const std::string& point)> observer);

}  // namespace trawl
