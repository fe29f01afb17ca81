/** Ends a run with one line a script can read, `N passed, N failed[, N skipped]`, which vitest's own summary is not. */
export class PlainReporter {
  onTestRunEnd(modules, errors) {
    const count = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state === "passed" || state === "failed" ? state : "skipped"]++;
      }
      if (module.state() === "failed" && module.errors().length > 0) count.failed++;
    }
    console.log(`${count.passed} passed, ${count.failed} failed${count.skipped ? `, ${count.skipped} skipped` : ""}`);
  }
}

export default PlainReporter; // vitest loads a reporter by its default export
