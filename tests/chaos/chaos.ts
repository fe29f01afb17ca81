/**
 * `npm run chaos`: a fabric on several hosts under faults, and clients that check all they get; docs/testing.md says more. Ends with 1 when something was wrong, with 3 where there can be no
 * hosts.
 */
import { randomInt } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { whyNoHosts } from "./hosts.ts";
import { argumentsOf, type ChaosOptions, OptionsError, parseOptions, usage } from "./options.ts";
import { summary } from "./report.ts";
import { runChaos } from "./run.ts";

const say = (line: string): void => console.log(line);

function optionsOrExit(): ChaosOptions {
  try {
    return parseOptions(process.argv.slice(2), () => randomInt(1, 1_000_000));
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

const options = optionsOrExit();
const why = whyNoHosts();
if (why !== undefined) {
  console.error(`no chaos here: ${why}`);
  process.exit(3);
}
const aborting = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => aborting.abort(new Error(`ended by ${signal}`)));
say(`npm run chaos -- ${argumentsOf(options)}`);
const logs = resolve(join("dist", "chaos", `seed-${options.seed}`));
const report = await runChaos(options, say, aborting.signal, logs).catch((error: unknown) => {
  if (!aborting.signal.aborted) throw error;
  say(`${String(aborting.signal.reason)}; everything is gone`);
  process.exit(130);
});
if (options.report !== undefined) {
  mkdirSync(dirname(resolve(options.report)), { recursive: true });
  writeFileSync(options.report, `${JSON.stringify(report, undefined, 2)}\n`);
}
say(summary(report));
if (report.problems.length > 0) say(`the logs are in ${logs}`);
process.exit(report.problems.length === 0 ? 0 : 1);
