#pragma once

#include <memory>
#include <string>

namespace trawl {

// A certificate and its key as PEM, made in the test.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

// A certificate authority made for one test.
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();

  const std::string& certificate() const { return own_.certificate; }
  // `names` is OpenSSL's subjectAltName: "DNS:a.example,IP:127.0.0.1"; "": without.
  // `days` from now until it expires; negative: it already has.
  TestCertificate Issue(const std::string& names, int days = 1,
                        const char* common_name = "trawl test") const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
  TestCertificate own_;
};

}  // namespace trawl
