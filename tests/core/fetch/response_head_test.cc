#include "core/fetch/response_head.h"

#include <gtest/gtest.h>

namespace trawl {
namespace {

ResponseHead Parse(std::initializer_list<const char*> lines) {
  ResponseHead head;
  for (const char* line : lines) head.AddLine(line);
  return head;
}

TEST(ResponseHeadTest, KeepsStatusAndTheHeadersThatMatter) {
  const ResponseHead head =
      Parse({"HTTP/1.1 200 OK\r\n", "content-TYPE:  text/plain; version=0.0.4 \r\n",
             "Content-Encoding: gzip\r\n", "X-Other: 1\r\n", "\r\n"});

  EXPECT_TRUE(head.complete());
  EXPECT_EQ(head.status_code(), 200);
  EXPECT_EQ(head.status_line(), "200 OK");
  EXPECT_EQ(head.content_type(), "text/plain; version=0.0.4");
  EXPECT_EQ(head.content_encoding(), "gzip");
}

TEST(ResponseHeadTest, AMissingPhraseIsTheStandardOne) {
  EXPECT_EQ(Parse({"HTTP/1.1 404\r\n"}).status_line(), "404 Not Found");
  EXPECT_EQ(Parse({"HTTP/1.1 599 \r\n"}).status_line(), "599");
}

TEST(ResponseHeadTest, InterimResponsesAreForgotten) {
  const ResponseHead head = Parse({"HTTP/1.1 103 Early Hints\r\n", "Content-Type: a\r\n", "\r\n",
                                   "HTTP/1.1 200 OK\r\n", "\r\n"});

  EXPECT_EQ(head.status_code(), 200);
  EXPECT_EQ(head.content_type(), "");
}

TEST(ResponseHeadTest, LinesOfTheLastResponseAreKeptWhenAskedFor) {
  ResponseHead head;
  head.KeepLines(true);
  for (const char* line : {"HTTP/1.1 103 Early Hints\r\n", "A: 1\r\n", "\r\n",
                           "HTTP/1.1 200 OK\r\n", "B:  2 \r\n", "\r\n", "Trailer: 3\r\n"}) {
    head.AddLine(line);
  }

  EXPECT_EQ(head.lines(), (std::vector<std::string>{"HTTP/1.1 200 OK", "B:  2"}));
  EXPECT_TRUE(Parse({"HTTP/1.1 200 OK\r\n", "B: 2\r\n", "\r\n"}).lines().empty());
}

TEST(ResponseHeadTest, OfAnEndlessHeadOnlyTheBeginningIsKept) {
  ResponseHead head;
  head.KeepLines(true);
  head.AddLine("HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 100; ++i) head.AddLine("X: " + std::string(1000, 'x'));

  size_t bytes = 0;
  for (const std::string& line : head.lines()) bytes += line.size();
  EXPECT_GT(bytes, ResponseHead::kMaxKeptBytes - 1100);
  EXPECT_LE(bytes, ResponseHead::kMaxKeptBytes);
}

TEST(ResponseHeadTest, TrailersChangeNothing) {
  const ResponseHead head =
      Parse({"HTTP/1.1 200 OK\r\n", "\r\n", "Content-Encoding: gzip\r\n", "HTTP/1.1 500 No\r\n"});

  EXPECT_EQ(head.status_code(), 200);
  EXPECT_EQ(head.content_encoding(), "");
}

TEST(ResponseHeadTest, ARedirectNeedsALocation) {
  EXPECT_TRUE(Parse({"HTTP/1.1 302 Found", "Location: /x", ""}).IsRedirect());
  EXPECT_FALSE(Parse({"HTTP/1.1 302 Found", ""}).IsRedirect());
  EXPECT_FALSE(Parse({"HTTP/1.1 304 Not Modified", "Location: /x", ""}).IsRedirect());
}

}  // namespace
}  // namespace trawl
