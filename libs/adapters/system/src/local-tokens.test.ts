import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { InvalidArgumentError, PermissionError, UnavailableError } from "@heddle/kernel";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { findLocalToken, localTokenDirectory, localTokens } from "./local-tokens.ts";

const module = JSON.stringify(new URL("./local-tokens.ts", import.meta.url).href);
const address = "127.0.0.1:7433";
let login = "";

beforeEach(() => {
  login = mkdtempSync(join(tmpdir(), "tokens-test-"));
  vi.stubEnv("XDG_RUNTIME_DIR", login);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(login, { recursive: true, force: true });
});

const fileOf = (name: string): string => join(login, "heddle", "tokens", name);
const record = (pid: number, token = "a".repeat(43)): string => JSON.stringify({ address, token, pids: [pid] });

/** Puts a file where the token of `address` is looked for. */
function plant(content: string, mode = 0o600): string {
  mkdirSync(join(login, "heddle", "tokens"), { recursive: true, mode: 0o700 });
  const path = fileOf("127.0.0.1_7433.json");
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** Runs a module in a process of its own, as another user if told to, and gives what it prints. */
async function elsewhere(script: string, uid?: number): Promise<string> {
  const args = ["--conditions=@heddle/source", "--input-type=module", "-e", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, uid === undefined ? {} : { uid, gid: uid });
  return stdout.trim();
}

/** The id of a process that is gone. */
async function deadPid(): Promise<number> {
  const child = spawn("true");
  await once(child, "exit");
  return child.pid ?? 0;
}

describe("a token", () => {
  test("is found by clients of the same user by the address of the server, until that stops", () => {
    expect(findLocalToken(address)).toBeUndefined();
    expect(existsSync(join(login, "heddle"))).toBe(false); // looking makes nothing
    const kept = localTokens().keep(address);
    expect(kept.token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(findLocalToken(address)).toBe(kept.token);
    expect(findLocalToken("127.0.0.1:7434")).toBeUndefined();
    expect(findLocalToken("127.0.0.2:7433")).toBeUndefined();
    kept[Symbol.dispose]();
    kept[Symbol.dispose]();
    expect(findLocalToken(address)).toBeUndefined();
    expect(readdirSync(localTokenDirectory())).toEqual([]);
  });

  test("is that of the address, however one writes it", () => {
    using four = localTokens().keep("localhost:7433");
    using six = localTokens().keep("[0:0:0:0:0:0:0:1]:7433");
    expect([findLocalToken(address), findLocalToken("LocalHost:7433")]).toEqual([four.token, four.token]);
    expect([findLocalToken("[::1]:7433"), findLocalToken("[0::1]:7433")]).toEqual([six.token, six.token]);
    expect(four.token).not.toBe(six.token);
  });

  test("is never given for a socket file or beyond this machine", () => {
    for (const other of ["unix:/tmp/socket", "10.0.0.1:7433", "0.0.0.0:7433", "localhost.example:7433"]) {
      expect(findLocalToken(other)).toBeUndefined();
      expect(() => localTokens().keep(other)).toThrow(InvalidArgumentError);
    }
  });

  test("is in a file that its owner alone can read from the first byte on, whatever the umask", () => {
    const before = process.umask(0);
    try {
      using _kept = localTokens().keep(address);
      expect(statSync(fileOf("127.0.0.1_7433.json")).mode & 0o777).toBe(0o600);
      expect(statSync(localTokenDirectory()).mode & 0o777).toBe(0o700);
    } finally {
      process.umask(before);
    }
  });

  test("outlives a server that was killed, for the next one at its address, though others start meanwhile", async () => {
    const pid = await deadPid();
    plant(record(pid));
    writeFileSync(fileOf("0123.tmp"), "{", { mode: 0o600 });
    using _other = localTokens().keep("127.0.0.1:1");
    using kept = localTokens().keep(address);
    expect(kept.token).toBe("a".repeat(43));
    expect(readdirSync(localTokenDirectory()).sort()).toEqual(["127.0.0.1_1.json", "127.0.0.1_7433.json"]);
  });

  test("of a server that has been dead for hours goes when another one starts", async () => {
    const path = plant(record(await deadPid()));
    const before = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(path, before, before);
    using _other = localTokens().keep("127.0.0.1:1");
    expect(findLocalToken(address)).toBeUndefined();
    plant(record(process.pid));
    utimesSync(path, before, before);
    using _third = localTokens().keep("127.0.0.1:2");
    expect(findLocalToken(address)).toBe("a".repeat(43)); // it lives
  });

  test("of a server that lives is not taken away by another that cannot have its address, nor by one elsewhere", () => {
    using first = localTokens().keep(address);
    const second = localTokens().keep(address);
    expect(second.token).toBe(first.token);
    second[Symbol.dispose]();
    symlinkSync("/nowhere", fileOf("127.0.0.1_9.json")); // not believed, and nobody's business but of whoever serves there
    using _elsewhere = localTokens().keep("127.0.0.1:1");
    expect(findLocalToken(address)).toBe(first.token);
  });

  test("is the same for servers that start at once at one address, in many processes", async () => {
    const script = `import { localTokens, findLocalToken } from ${module};
      const { token } = localTokens().keep("${address}");
      await new Promise((resolve) => setTimeout(resolve, 300));
      console.log(token, findLocalToken("${address}"));`;
    const said = await Promise.all(Array.from({ length: 6 }, () => elsewhere(script)));
    expect(new Set(said.flatMap((line) => line.split(" "))).size).toBe(1);
  });

  test("comes back when a cleaner of temporary directories took it away", async () => {
    using kept = localTokens({ lookMs: 10 }).keep(address);
    rmSync(join(login, "heddle"), { recursive: true });
    await vi.waitFor(() => expect(findLocalToken(address)).toBe(kept.token));
    const long = new Date(0);
    utimesSync(fileOf("127.0.0.1_7433.json"), long, long);
    await vi.waitFor(() => expect(statSync(fileOf("127.0.0.1_7433.json")).mtimeMs).toBeGreaterThan(1e12));
  });

  test("is kept though somebody died while changing one, and though the file of before makes no sense", () => {
    plant('{"address":');
    writeFileSync(fileOf("lock"), "");
    utimesSync(fileOf("lock"), new Date(0), new Date(0));
    using kept = localTokens().keep(address);
    expect(findLocalToken(address)).toBe(kept.token);
    expect(readdirSync(localTokenDirectory())).toEqual(["127.0.0.1_7433.json"]);
  });
});

describe("what may be somebody else's work", () => {
  const refused = (words: RegExp): void => {
    expect(() => findLocalToken(address)).toThrow(PermissionError);
    expect(() => findLocalToken(address)).toThrow(words);
    expect(() => localTokens().keep(address)).toThrow(PermissionError);
    expect(existsSync(fileOf("lock"))).toBe(false);
  };

  test("is not believed when it is a link, though to a file of the user's own", () => {
    const path = plant(record(process.pid));
    const other = join(login, "other");
    writeFileSync(other, readFileSync(path), { mode: 0o600 });
    rmSync(path);
    symlinkSync(other, path);
    refused(/127\.0\.0\.1_7433\.json is a link$/);
  });

  test("is not believed when others can open it", () => {
    plant(record(process.pid), 0o640);
    refused(/_7433\.json is open to other users \(mode 640\)$/);
  });

  test("is not believed when its directory is a link, or open to others", () => {
    plant(record(process.pid));
    chmodSync(localTokenDirectory(), 0o750);
    refused(/tokens is open to other users \(mode 750\)$/);
    rmSync(localTokenDirectory(), { recursive: true });
    mkdirSync(join(login, "real"), { mode: 0o700 });
    symlinkSync(join(login, "real"), localTokenDirectory());
    refused(/tokens is not a directory$/);
  });

  test("is not believed when it belongs to another user", (context) => {
    if (process.getuid?.() !== 0) return context.skip("only root can give a file away");
    chownSync(plant(record(process.pid)), 65_534, 65_534);
    refused(/_7433\.json belongs to another user \(uid 65534\)$/);
  });

  test("cannot be read by another user, whose own place is another one", async (context) => {
    if (process.getuid?.() !== 0) return context.skip("only root can become another user");
    using kept = localTokens().keep(address);
    chmodSync(login, 0o755);
    const script = `import { findLocalToken, localTokenDirectory } from ${module};
      import { readFileSync } from "node:fs";
      const said = (act) => { try { return String(act()) } catch (error) { return error.code } };
      console.log(said(() => readFileSync("${fileOf("127.0.0.1_7433.json")}")), said(() => findLocalToken("${address}")), localTokenDirectory());`;
    const said = await elsewhere(script, 65_534);
    expect(said).not.toContain(kept.token);
    expect(said).toBe(`EACCES undefined ${join(tmpdir(), "heddle-65534", "tokens")}`);
  });
});

test("a place where nothing can be written is named", () => {
  mkdirSync(fileOf("lock"), { recursive: true, mode: 0o700 });
  utimesSync(fileOf("lock"), new Date(0), new Date(0));
  expect(() => localTokens().keep(address)).toThrow(UnavailableError);
  expect(() => localTokens().keep(address)).toThrow(`cannot keep a token in ${localTokenDirectory()}: `);
});
