"""trawld and trawl-store are killed at random moments, while storage is there, away and slow. What was
scraped is stored once. kill_rig.py counts; it does more of the same by command."""
import unittest

import kill_rig
from harness import SANITIZED, EndToEndTest


class KillsTest(EndToEndTest):
    def check_kills(self, kills, *more):
        # A scrape that the exporter had answered 20 ms before the kill must be there (a sanitizer is
        # slow), and in any case at most one scrape a target and kill may be missing.
        options = kill_rig.arguments(["--kills", str(kills), "--interval", "300ms", "--run", "0.4",
                                      "--in-progress", "0.25" if SANITIZED else "0.02", "--seed", "1", *more])
        result = kill_rig.measure(options)
        print(f"\n{' '.join(more)}: {dict(result)}")
        self.assertGreaterEqual(result["scraped"], kills)
        self.assertEqual(kill_rig.faults(result), 0, result)
        self.assertLessEqual(result["most_in_progress_a_target_and_kill"], 1, result)

    def test_nothing_is_lost_when_trawld_and_its_store_are_killed(self):
        self.check_kills(20, "--kill-store", "2")

    def test_nothing_is_lost_when_trawld_is_killed_while_storage_is_away(self):
        self.check_kills(15, "--storage", "down")

    def test_nothing_is_lost_when_trawld_is_killed_while_storage_is_slow(self):
        self.check_kills(15, "--storage", "slow")


if __name__ == "__main__":
    unittest.main()
