/** `npm run sim`: whole systems in simulated worlds, seed by seed; docs/testing.md says more. Ends with 1 when something broke. */
import { randomInt } from "node:crypto";
import { failureText, runMany, summary } from "./many.ts";
import { OptionsError, parseOptions, type SimOptions, usage } from "./options.ts";

const PROGRESS_MS = 10_000;

function optionsOrExit(): SimOptions {
  try {
    return parseOptions(process.argv.slice(2), () => randomInt(1, 1_000_000_000));
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

const options = optionsOrExit();
console.log(`seeds from ${options.first} on`);
let toldMs = performance.now();
const report = await runMany(options, {
  nowMs: () => performance.now(),
  failed: (seed, error) => console.log(failureText(seed, error)),
  done: (seed) => {
    if (performance.now() < toldMs + PROGRESS_MS) return;
    toldMs = performance.now();
    console.log(`up to seed ${seed}`);
  },
});
console.log(summary(report));
process.exit(report.failures.length === 0 ? 0 : 1);
