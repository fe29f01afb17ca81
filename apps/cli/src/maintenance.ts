import { durationOf } from "@heddle/adapter-command";
import { InvalidArgumentError } from "@heddle/kernel";
import type { Command } from "commander";
import { givenAddress } from "./config.ts";
import type { Print } from "./questions.ts";
import { addTarget, type TargetOptions, targetOf } from "./targets.ts";

interface MaintenanceOptions extends TargetOptions {
  readonly reason?: string;
  readonly deadline: string;
  readonly self?: boolean;
  /** Of the agent beside this command. */
  readonly name?: string;
  /** False by `--no-wait`. */
  readonly wait: boolean;
}

/** `heddle cordon`, `uncordon`, `drain` and `cancel`. */
export function addMaintenance(program: Command, print: Print): void {
  const command = (nameAndArgs: string, description: string): Command =>
    addTarget(program.command(nameAndArgs)).description(description);
  const options = (given: Command): MaintenanceOptions => given.optsWithGlobals<MaintenanceOptions>();
  command("cordon <node...>", "keep new work away from nodes; what they run goes on")
    .option("--reason <text>", "why, for those who look at the node later")
    .action(async (names: string[], _options: unknown, given: Command) => {
      const { cordon } = await import("./cordons.ts");
      await cordon({ ...targetOf(options(given)), names, reason: options(given).reason }, print);
    });
  command("uncordon <node...>", "let nodes take work again, also those that are drained or being drained").action(
    async (names: string[], _options: unknown, given: Command) => {
      const { uncordon } = await import("./cordons.ts");
      await uncordon({ ...targetOf(options(given)), names, reason: undefined }, print);
    },
  );
  command("cancel <job...>", "stop jobs, for all who wait for them: by id, its beginning, or the name of an open one")
    .option("--reason <text>", "why: those who wait are told")
    .action(async (names: string[], _options: unknown, given: Command) => {
      const { cancelJobs } = await import("./job-cancel.ts");
      await cancelJobs({ ...targetOf(options(given)), names, reason: options(given).reason }, print);
    });
  command("drain [node...]", "cordon nodes and empty them: what runs may end until the deadline, then it is stopped")
    .option("--deadline <time>", "how long what runs may go on, such as 90s, 10m or 0", "5m")
    .option("--self", "the node of this environment's agent, which is about to be stopped")
    .option(
      "--name <node>",
      "with --self: that agent's node (default: HEDDLE_NAME, else as the agent has written to HEDDLE_ADDRESS_FILE, else as it names itself)",
    )
    .option("--no-wait", "do not wait until the nodes are empty")
    .option("--reason <text>", "why, for those who look at the node later")
    .addHelpText(
      "after",
      `
Chunks that have not begun run elsewhere at once. Those that are stopped at the deadline run elsewhere, too: it costs them nothing but the time. Processes are over then.
A drained node stays cordoned until it is uncordoned, which also undoes a drain that goes on. Ctrl-C ends the waiting, not the drain.

Examples:
  heddle drain vm-1 vm-2 --deadline 10m --reason "new kernel"
  heddle drain --self --no-wait --deadline 25s`,
    )
    .action(async (given: string[], _options: unknown, of: Command) => {
      const { self = false, name, wait, reason, deadline } = options(of);
      if (self === given.length > 0 || (name !== undefined && !self))
        throw new InvalidArgumentError("drain takes the names of nodes, or --self");
      const { drain, ownName } = await import("./cordons.ts");
      const target = targetOf(self ? { ...options(of), ...ofAgent(options(of)) } : options(of));
      const names = self ? [name ?? ownName()] : given;
      await drain({ ...target, names, reason, deadlineMs: durationOf(deadline), leaving: self, wait }, print);
    });
}

/** Where the agent of this environment has its coordinator, when nobody says where clients have theirs. */
function ofAgent({ address }: MaintenanceOptions): { readonly address?: string } {
  const [first = ""] = (process.env.HEDDLE_COORDINATOR ?? "").split(",");
  return givenAddress(address) === undefined && first !== "" ? { address: first.trim() } : {};
}
