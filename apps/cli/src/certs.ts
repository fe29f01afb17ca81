import { didYouMean } from "@heddle/adapter-command";
import { InvalidArgumentError, type Role, roles } from "@heddle/kernel";
import { type Command, Option } from "commander";
import { type OutputFormat, outputFormats } from "./output.ts";
import type { Print } from "./questions.ts";

/** Where an authority and its identities are when nobody says so. */
const DEFAULT_DIRECTORY = "heddle-certs";

/** How Secrets of Kubernetes are called before "-" and the role when nobody says so. */
const DEFAULT_SECRETS = "heddle";

interface MakingOptions {
  readonly dir: string;
  readonly host: readonly string[];
  readonly days?: number;
  readonly namespace?: string;
}

/** `heddle certs ...`: what makes certificates is loaded only when it is asked for. */
export function addCerts(program: Command, print: Print): void {
  const certs = program
    .command("certs")
    .description("make and look after the certificates of a fabric that spans machines")
    .usage("<command>");
  addInit(certs, print);
  addIssue(certs, print);
  addRenew(certs, print);
  addShow(certs, print);
}

function addInit(certs: Command, print: Print): void {
  certs
    .command("init")
    .description("make an authority, and an identity for each role")
    .addOption(directoryOption("make them here"))
    .addOption(hostOption("a name or IP address by which the coordinator and the manager are dialled"))
    .addOption(daysOption("--days", "how long the identities are good for (default: 365)"))
    .addOption(daysOption("--authority-days", "how long the authority is good for (default: 3650)"))
    .option(
      "--kubernetes [prefix]",
      `print Secrets called PREFIX-ROLE (default: ${DEFAULT_SECRETS}), write no identity`,
    )
    .option("--namespace <namespace>", "of the Secrets")
    .addHelpText(
      "after",
      `
DIR gets ca/ (ca.crt, and ca.key, with which anybody can be made: keep it where nobody else can read it) and a directory with ca.crt, tls.crt
and tls.key for each of coordinator, manager, agent, client and admin. A machine needs the directory of its role, and nothing else of DIR.

Examples:
  heddle certs init --host fabric.example.org --host 10.0.0.5
  heddle certs init --host heddle-coordinator.default.svc --kubernetes | kubectl apply -f -`,
    )
    .action(async (options: MakingOptions & { authorityDays?: number; kubernetes?: string | true }) => {
      const { kubernetes, namespace, ...others } = options;
      const prefix = kubernetes === true ? DEFAULT_SECRETS : kubernetes;
      const { init } = await import("./certs-making.ts");
      await init({ ...others, secrets: secretsOf(prefix, namespace) }, print);
    });
}

function addIssue(certs: Command, print: Print): void {
  certs
    .command("issue <role> [name]")
    .description("make another identity, such as one for each user or node")
    .addOption(directoryOption("the directory of the authority"))
    .addOption(hostOption("a name or IP address by which it is dialled; a coordinator and a manager need theirs"))
    .addOption(daysOption("--days", "how long it is good for (default: 365)"))
    .option("--out <directory>", "put it here (default: ROLE-NAME in the directory of the authority)")
    .option("--kubernetes <secret>", "print a Secret of this name, write no file")
    .option("--namespace <namespace>", "of the Secret")
    .addHelpText(
      "after",
      `
Roles: ${roles.join(", ")}. A name is 1-63 of a-z, 0-9 and "-"; logs show it, and quotas count by it.

Examples:
  heddle certs issue client alice
  heddle certs issue agent rack7 --days 30 --out /etc/heddle/tls
  heddle certs issue coordinator --host fabric.example.org --kubernetes heddle-coordinator | kubectl apply -f -`,
    )
    .action(async (role: string, name: string | undefined, options: IssueOptions) => {
      const { kubernetes, namespace, ...others } = options;
      const { issue } = await import("./certs-making.ts");
      await issue({ ...others, role: roleOf(role), name, secrets: secretsOf(kubernetes, namespace) }, print);
    });
}

interface IssueOptions extends MakingOptions {
  readonly out?: string;
  readonly kubernetes?: string;
}

function addRenew(certs: Command, print: Print): void {
  certs
    .command("renew [directories...]")
    .description("give identities that have lived two thirds of their life a new key and certificate")
    .addOption(directoryOption("the directory of the authority; without DIRECTORIES, of the identities, too"))
    .addOption(daysOption("--days", "how long the new ones are good for (default: as long as the old ones)"))
    .option("--all", "renew the others, too")
    .option(
      "--kubernetes [prefix]",
      `print all Secrets of "certs init --kubernetes" anew (default: ${DEFAULT_SECRETS}), write no file`,
    )
    .option("--namespace <namespace>", "of the Secrets")
    .addOption(hostOption("with --kubernetes, the hosts that init was told"))
    .addHelpText(
      "after",
      `
Role, name and hosts stay as they are. Servers, agents and clients that run take up the new files by themselves, without a restart.
No Secret is kept here: those that --kubernetes prints have the hosts that are said, and are good for 365 days unless --days is.

Examples:
  heddle certs renew
  heddle certs renew /etc/heddle/tls --all --days 90
  heddle certs renew --kubernetes --host heddle-coordinator.default.svc --host heddle-manager.default.svc | kubectl apply -f -`,
    )
    .action(async (directories: string[], options: RenewingOptions) => {
      const { kubernetes, namespace, host, dir, days, all } = options;
      const secrets = secretsOf(kubernetes === true ? DEFAULT_SECRETS : kubernetes, namespace);
      const making = await import("./certs-making.ts");
      if (secrets === undefined) {
        if (host.length > 0) throw new InvalidArgumentError("renew leaves the hosts as they are: leave out --host");
        return await making.renew(directories, { dir, ...(days !== undefined && { days }), all: all === true }, print);
      }
      if (directories.length > 0 || all === true)
        throw new InvalidArgumentError("--kubernetes renews no files: leave out directories and --all");
      await making.renewSecrets({ dir, host, days, secrets }, print);
    });
}

interface RenewingOptions extends MakingOptions {
  readonly all?: true;
  readonly kubernetes?: string | true;
}

function addShow(certs: Command, print: Print): void {
  certs
    .command("show [paths...]")
    .description("show whose certificates there are, for how long they are good, and what is wrong with them")
    .addOption(new Option("-o, --output <format>", "how to print the answer").choices(outputFormats).default("table"))
    .option("--no-headers", "leave out the headings")
    .addHelpText(
      "after",
      `
A path is a certificate in PEM, a directory with an identity or an authority, or one with such directories (default: ${DEFAULT_DIRECTORY}).
Exits with 1 when a certificate cannot be used: it is expired, not valid yet, names no role, does not fit its key or comes from another
authority than that of its ca.crt.

Examples:
  heddle certs show
  heddle certs show /etc/heddle/tls -o wide`,
    )
    .action(async (paths: string[], options: { output: OutputFormat; headers: boolean }) => {
      const { show } = await import("./certs-showing.ts");
      await show(paths.length === 0 ? [DEFAULT_DIRECTORY] : paths, options, print);
    });
}

function directoryOption(help: string): Option {
  return new Option("--dir <directory>", help).default(DEFAULT_DIRECTORY);
}

function hostOption(help: string): Option {
  const collect = (host: string, hosts: readonly string[]): readonly string[] => [...hosts, host];
  return new Option("--host <host>", `${help} (repeatable)`).argParser(collect).default([], "none");
}

function daysOption(flag: string, help: string): Option {
  return new Option(`${flag} <days>`, help).argParser((text: string) => {
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw new InvalidArgumentError(`${flag}: ${JSON.stringify(text)} is not a whole number of days`);
  });
}

function secretsOf(name: string | undefined, namespace: string | undefined): Secrets | undefined {
  if (name !== undefined) return { name, namespace };
  if (namespace === undefined) return undefined;
  throw new InvalidArgumentError("--namespace is for Secrets: say --kubernetes, too");
}

/** How Secrets of Kubernetes are to be called. */
export interface Secrets {
  readonly name: string;
  readonly namespace: string | undefined;
}

function roleOf(word: string): Role {
  const role = roles.find((each) => each === word);
  if (role !== undefined) return role;
  throw new InvalidArgumentError(
    `there is no role ${JSON.stringify(word)}: say ${roles.join(", ")}${didYouMean(word, roles)}`,
  );
}
