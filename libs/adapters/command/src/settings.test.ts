import { InvalidArgumentError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { helpText } from "./help.ts";
import { advertised, choice, count, flag, list, pairs, text } from "./setting.ts";
import { resolveSettings, type SettingSources, type SettingTable } from "./settings.ts";

interface Values {
  readonly listen: string;
  readonly dataDir: string | undefined;
  readonly processes: number | undefined;
  readonly logLevel: "info" | "warn";
  readonly coordinator: readonly string[];
  readonly label: Readonly<Record<string, string>>;
  readonly leaseMs: number | undefined;
  readonly tls: boolean;
}

const table: SettingTable<Values> = {
  listen: text("ADDRESS", "serve here", "127.0.0.1:7433"),
  dataDir: text("DIR", "keep things here", undefined),
  processes: count("N", "workers", undefined, { min: 1, max: 64 }),
  logLevel: choice(["info", "warn"], "how much to say", "info"),
  coordinator: list("ADDRESS", "coordinators"),
  label: pairs("KEY=VALUE", "labels"),
  tls: flag("speak TLS"),
  leaseMs: count("MS", undefined, undefined, { min: 1, max: 1_000 }),
};

const fallbacks: Values = {
  listen: "127.0.0.1:7433",
  dataDir: undefined,
  processes: undefined,
  logLevel: "info",
  coordinator: [],
  label: {},
  leaseMs: undefined,
  tls: false,
};

function resolve(given: Partial<SettingSources> & { readonly files?: Readonly<Record<string, string>> }) {
  const readFile = (path: string): string => {
    const content = given.files?.[path];
    if (content === undefined) throw new Error(`no such file: ${path}`);
    return content;
  };
  return resolveSettings(table, { args: [], environment: {}, readFile, parseFile: JSON.parse, ...given });
}

function values(given: Parameters<typeof resolve>[0]): Values {
  const resolution = resolve(given);
  if (resolution.type === "help") throw new Error("help was not asked for");
  return resolution.values;
}

describe("settings", () => {
  test("a flag wins over the environment, the environment over the file, the file over the fallback", () => {
    const files = {
      "a.json": JSON.stringify({ listen: "file:1", "data-dir": "/file", processes: 3, "log-level": "warn" }),
    };
    const environment = { HEDDLE_LISTEN: "variable:1", HEDDLE_DATA_DIR: "/variable" };
    const args = ["--listen", "flag:1", "--config", "a.json"];
    expect(values({ args, environment, files })).toEqual({
      ...fallbacks,
      listen: "flag:1",
      dataDir: "/variable",
      processes: 3,
      logLevel: "warn",
    });
  });

  test("nothing given is the fallbacks, and an empty variable is nothing", () => {
    expect(values({ environment: { HEDDLE_LISTEN: "", OTHER: "x" } })).toEqual(fallbacks);
  });

  test("a config file can be named by HEDDLE_CONFIG, and --config names another one", () => {
    const files = { "a.json": '{"processes":1}', "b.json": '{"processes":2}', "empty.json": "null" };
    const environment = { HEDDLE_CONFIG: "a.json" };
    expect(values({ environment, files }).processes).toBe(1);
    expect(values({ environment, files, args: ["--config=b.json"] }).processes).toBe(2);
    expect(values({ environment, files, args: ["--config=empty.json"] })).toEqual(fallbacks);
  });

  test("lists and pairs come from repeated flags, from a variable with commas, from a file's list or keys", () => {
    const wanted = { coordinator: ["a:1", "b:2"], label: { gpu: "yes", zone: "x=y" } };
    const args = ["--coordinator", "a:1", "--coordinator=b:2", "--label", "gpu=yes", "--label", "zone=x=y"];
    expect(values({ args })).toEqual({ ...fallbacks, ...wanted });
    const environment = { HEDDLE_COORDINATOR: "a:1, b:2", HEDDLE_LABEL: "gpu=yes,zone=x=y" };
    expect(values({ environment })).toEqual({ ...fallbacks, ...wanted });
    const files = { "c.json": JSON.stringify(wanted) };
    expect(values({ args: ["--config", "c.json"], files })).toEqual({ ...fallbacks, ...wanted });
    expect(values({ args: ["--coordinator", "a:1,b:2"] }).coordinator).toEqual(["a:1", "b:2"]);
  });

  test("the last one of a repeated flag counts, and a hidden one works like any other", () => {
    expect(values({ args: ["--listen", "a:1", "--listen", "b:2", "--lease-ms", "7"] })).toEqual({
      ...fallbacks,
      listen: "b:2",
      leaseMs: 7,
    });
  });

  test("a flag of yes or no stands alone, and can be said with its value everywhere", () => {
    const listen = { ...fallbacks, listen: "a:1" };
    expect(values({ args: ["--tls", "--listen", "a:1"] })).toEqual({ ...listen, tls: true });
    expect(values({ args: ["--listen", "a:1", "--tls=no"], environment: { HEDDLE_TLS: "1" } })).toEqual(listen);
    expect(values({ environment: { HEDDLE_TLS: "1" } }).tls).toBe(true);
    expect(values({ args: ["--config", "x"], files: { x: '{"tls":true}' } }).tls).toBe(true);
  });

  test("asking for help wins over whatever stands before it", () => {
    expect(resolve({ args: ["--listen", "a:1", "--help"] })).toEqual({ type: "help" });
    expect(resolve({ args: ["-h"] })).toEqual({ type: "help" });
  });

  test.each<[string, Parameters<typeof resolve>[0], string]>([
    ["an unknown flag", { args: ["--proceses", "3"] }, "unknown option --proceses; did you mean --processes?"],
    ["a flag unlike any other", { args: ["--zzz"] }, "unknown option --zzz"],
    ["a flag without its value", { args: ["--listen"] }, "--listen needs a value: --listen ADDRESS"],
    ["an empty value", { args: ["--listen="] }, "--listen: a value is missing"],
    ["an argument", { args: ["extra"] }, 'unexpected argument "extra"'],
    ["a flag's wrong number", { args: ["--processes", "0"] }, '--processes: "0" is not a whole number from 1 to 64'],
    ["a variable's wrong number", { environment: { HEDDLE_PROCESSES: "many" } }, 'HEDDLE_PROCESSES: "many" is not a'],
    ["a wrong word", { args: ["--log-level", "loud"] }, '--log-level: "loud" is not one of info, warn'],
    ["a label without a value", { args: ["--label", "gpu"] }, '--label: "gpu" is not key=value'],
    ["a flag's wrong answer", { args: ["--tls=maybe"] }, '--tls: "maybe" is not true or false'],
    ["a missing file", { args: ["--config", "x.json"] }, "config file x.json: no such file: x.json"],
    ["a torn file", { args: ["--config", "x.json"], files: { "x.json": "{" } }, "config file x.json: "],
    ["a file of something else", { args: ["--config", "x"], files: { x: "[1]" } }, "config file x: expected keys"],
    [
      "an unknown key",
      { args: ["--config", "x"], files: { x: '{"dataDir":1}' } },
      'x: unknown key "dataDir"; did you mean data-dir?',
    ],
    [
      "a file's wrong number",
      { args: ["--config", "x"], files: { x: '{"processes":1.5}' } },
      'x: processes: "1.5" is not',
    ],
    [
      "a key without a value",
      { args: ["--config", "x"], files: { x: '{"listen":null}' } },
      "x: listen: a value is missing",
    ],
  ])("%s is refused in words", (_what, given, words) => {
    expect(() => resolve(given)).toThrow(InvalidArgumentError);
    expect(() => resolve(given)).toThrow(words);
  });

  test("the help shows every option that is for users, with its fallback", () => {
    const help = helpText("heddle agent", "Does things.", table);
    expect(help).toContain("Usage: heddle agent [options]");
    expect(help).toMatch(/^ {2}--listen <ADDRESS> +serve here \(default: 127\.0\.0\.1:7433\)$/m);
    expect(help).toMatch(/^ {2}--tls +speak TLS$/m);
    expect(help).toMatch(/^ {2}--config <FILE> /m);
    expect(help).not.toContain("--lease-ms");
  });
});

test("others are told what was given of where a server is, with its port where that was left out", () => {
  expect(advertised("0.0.0.0:7433", undefined)).toBe("0.0.0.0:7433");
  expect(advertised("0.0.0.0:7433", "heddle.example")).toBe("heddle.example:7433");
  expect(advertised("[::]:7433", "[2001:db8::1]")).toBe("[2001:db8::1]:7433");
  expect(advertised("0.0.0.0:7433", "heddle.example:443")).toBe("heddle.example:443");
  expect(advertised("unix:/run/heddle.sock", "heddle.example")).toBe("unix:/run/heddle.sock");
});
