import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AUTHORITY_DAYS,
  createAuthority,
  DAY_MS,
  IDENTITY_DAYS,
  isIssuedBy,
  keyFits,
  readAuthority,
  readCertificate,
  readIdentity,
  tlsFilesIn,
  writeIdentity,
} from "@heddle/adapter-certificates";
import { roles } from "@heddle/kernel";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { heddle, type Ran } from "./testing.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-cli-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const kept = join(scratch, "heddle-certs");
let made: Ran;
beforeAll(async () => {
  made = await heddle(["certs", "init", "--dir", kept, "--host", "fabric.example.org", "--host", "10.0.0.5"]);
});

/** A copy of what `init` made, for a test to spoil. */
function copy(name: string): string {
  const directory = join(scratch, name);
  cpSync(kept, directory, { recursive: true });
  return directory;
}

/** Every file below, with its mode. */
function files(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  return entries
    .map(({ parentPath, name }) => join(parentPath, name))
    .map((path) => `${path.slice(directory.length + 1)} ${mode(path)}`)
    .sort();
}

async function shownIn(
  ...paths: readonly string[]
): Promise<{ code: number | null; shown: Record<string, unknown>[] }> {
  const { code, stdout } = await heddle(["certs", "show", "-o", "json", ...paths]);
  return { code, shown: JSON.parse(stdout) };
}

describe("heddle certs init", () => {
  test("makes an authority and an identity for each role, and says what is next", () => {
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const identity = (role: string): string[] => [`${role}/ca.crt 644`, `${role}/tls.crt 644`, `${role}/tls.key 600`];
    expect(files(kept)).toEqual(["ca/ca.crt 644", "ca/ca.key 600", ...roles.flatMap(identity)].sort());
    const ca = readAuthority(join(kept, "ca")).certPem;
    for (const role of roles) {
      const { certPem, keyPem, caPem } = readIdentity(join(kept, role));
      const own = role === "coordinator" || role === "manager" ? ["localhost", "127.0.0.1", "::1"] : [];
      const hosts = own.length > 0 ? ["fabric.example.org", "10.0.0.5", ...own] : [];
      expect(readCertificate(certPem)).toMatchObject({ role, name: role, hosts });
      expect([caPem, isIssuedBy(certPem, ca), keyFits(certPem, keyPem)]).toEqual([ca, true, true]);
      expect(made.stdout).toMatch(new RegExp(`^Made ${kept}/${role}, good until \\d{4}-\\d{2}-\\d{2}$`, "m"));
    }
    expect(made.stdout.split("Next:\n")[1]).toBe(
      `  heddle manager --listen 0.0.0.0:7435 --data-dir /var/lib/heddle --tls-dir ${kept}/manager\n` +
        `  heddle coordinator --listen 0.0.0.0:7433 --manager fabric.example.org:7435 --tls-dir ${kept}/coordinator\n` +
        `  heddle agent --coordinator fabric.example.org:7433 --tls-dir ${kept}/agent\n` +
        `  HEDDLE_ADDRESS=fabric.example.org:7433 HEDDLE_TLS_DIR=${kept}/client heddle run script.ts\n`,
    );
    expect(made.stdout).not.toContain("PRIVATE KEY");
  });

  test("puts nothing in place of what is there", async () => {
    const before = files(kept).map((file) => readFileSync(join(kept, file.split(" ")[0] ?? ""), "utf8"));
    const again = await heddle(["certs", "init", "--dir", kept]);
    expect(again).toMatchObject({ code: 1, stdout: "" });
    expect(again.stderr).toMatch(
      /^heddle: there is an authority in .*\/ca already: "heddle certs issue" .* "heddle certs renew"/,
    );
    const copied = copy("no-authority");
    rmSync(join(copied, "ca"), { recursive: true });
    const { code, stderr } = await heddle(["certs", "init", "--dir", copied]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/there is an identity in .*\/client already/),
    });
    expect(existsSync(join(copied, "ca"))).toBe(false);
    expect(files(kept).map((file) => readFileSync(join(kept, file.split(" ")[0] ?? ""), "utf8"))).toEqual(before);
  });

  test("prints Secrets of Kubernetes, and then only the authority is on the disk", async () => {
    const directory = join(scratch, "kubernetes");
    const args = ["certs", "init", "--dir", directory, "--kubernetes", "fabric", "--namespace", "prod"];
    const { code, stdout, stderr } = await heddle([...args, "--days", "30", "--authority-days", "60"]);
    expect(code).toBe(0);
    expect(files(directory)).toEqual(["ca/ca.crt 644", "ca/ca.key 600"]);
    const secrets = parseAllDocuments(stdout).map((document) => document.toJS());
    expect(secrets.map(({ metadata }) => metadata.name)).toEqual(roles.map((role) => `fabric-${role}`));
    const ca = readAuthority(join(directory, "ca")).certPem;
    for (const [index, { kind, type, metadata, data }] of secrets.entries()) {
      expect({ kind, type, namespace: metadata.namespace }).toEqual({
        kind: "Secret",
        type: "kubernetes.io/tls",
        namespace: "prod",
      });
      const text = (file: string): string => Buffer.from(data[file], "base64").toString();
      expect([text("ca.crt"), isIssuedBy(text("tls.crt"), ca), keyFits(text("tls.crt"), text("tls.key"))]).toEqual([
        ca,
        true,
        true,
      ]);
      const { role, notAfter } = readCertificate(text("tls.crt"));
      expect([role, Math.round((notAfter.getTime() - Date.now()) / DAY_MS)]).toEqual([roles[index], 30]);
    }
    expect(Math.round((readCertificate(ca).notAfter.getTime() - Date.now()) / DAY_MS)).toBe(60);
    expect(stderr).toMatch(/^Made Secret fabric-agent, good until /m);
    expect(stderr).toContain(
      "  heddle manager --listen 127.0.0.1:7435 --data-dir /var/lib/heddle --tls-dir /etc/heddle/manager\n" +
        "  heddle coordinator --listen 127.0.0.1:7433 --manager localhost:7435 --tls-dir /etc/heddle/coordinator\n",
    );

    const hosts = ["--host", "heddle-coordinator.default.svc", "--host", "heddle-manager.default.svc"];
    const again = await heddle([...args, ...hosts]);
    expect(again).toMatchObject({ code: 1, stdout: "" });
    const command = /"heddle (certs renew [^"]+)" new Secrets/.exec(again.stderr)?.[1]?.split(" ") ?? [];
    const renewed = await heddle([...command, "--days", "40"]);
    expect(renewed).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^(Made Secret fabric-\w+, good until \S+\n){5}$/),
    });
    expect(files(directory)).toEqual(["ca/ca.crt 644", "ca/ca.key 600"]);
    const anew = parseAllDocuments(renewed.stdout).map((document) => document.toJS());
    expect(anew.map(({ metadata, type }) => [metadata, type])).toEqual(secrets.map((old) => [old.metadata, old.type]));
    for (const [index, { data }] of anew.entries()) {
      const text = (file: string): string => Buffer.from(data[file], "base64").toString();
      const facts = readCertificate(text("tls.crt"));
      expect(data["tls.key"]).not.toBe(secrets[index].data["tls.key"]);
      expect([
        text("ca.crt"),
        isIssuedBy(text("tls.crt"), ca),
        keyFits(text("tls.crt"), text("tls.key")),
        facts.role,
      ]).toEqual([...[ca, true, true], roles[index]]);
      const isServer = facts.role === "coordinator" || facts.role === "manager";
      expect(facts.hosts.filter((host) => host.startsWith("heddle-"))).toEqual(isServer ? [hosts[1], hosts[3]] : []);
    }
  });

  test("tells the manager and the coordinator by their names, where each has one", async () => {
    const hosts = ["--host", "heddle-manager.default.svc", "--host", "heddle-coordinator.default.svc"];
    const { stderr } = await heddle(["certs", "init", "--dir", join(scratch, "services"), ...hosts, "--kubernetes"]);
    expect(stderr).toContain(" --manager heddle-manager.default.svc:7435 --tls-dir /etc/heddle/coordinator\n");
    expect(stderr).toContain(" --coordinator heddle-coordinator.default.svc:7433 --tls-dir /etc/heddle/agent\n");
  });

  test.each([
    [["--days", "0"], "a certificate is good for 1 to 36500 whole days, not 0"],
    [["--authority-days", "many"], '--authority-days: "many" is not a whole number of days'],
    [["--host", "fabric:7433"], '"fabric:7433" is not a host: say a name or an IP address, without a port'],
    [["--namespace", "prod"], "--namespace is for Secrets: say --kubernetes, too"],
    [["--kubernetes", "No_Name"], '"No_Name-client" cannot be the name of a Secret (a-z, 0-9, "-" and ".")'],
  ])("refuses %j and makes nothing", async (args, words) => {
    const directory = join(scratch, "refused");
    const ran = await heddle(["certs", "init", "--dir", directory, ...args]);
    expect(ran).toEqual({ code: 2, stdout: "", stderr: `heddle: ${words}\n` });
    expect(existsSync(directory)).toBe(false);
  });
});

describe("heddle certs issue", () => {
  test("makes one more identity, once", async () => {
    const directory = copy("issue");
    const args = ["certs", "issue", "client", "alice", "--dir", directory, "--days", "7"];
    const { code, stdout, stderr } = await heddle(args);
    const out = join(directory, "client-alice");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^Made .*\/client-alice: client alice, good until .*\nUse it with --tls-dir .*\/client-alice or HEDDLE_TLS_DIR=/,
    );
    const { certPem, keyPem, caPem } = readIdentity(out);
    expect(readCertificate(certPem)).toMatchObject({ role: "client", name: "alice", hosts: [] });
    expect([keyFits(certPem, keyPem), isIssuedBy(certPem, caPem)]).toEqual([true, true]);
    expect(await heddle(args)).toMatchObject({ code: 1, stderr: expect.stringContaining("already") });
    const unnamed = await heddle(["certs", "issue", "client", "--dir", directory]);
    expect(unnamed).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("another one needs a NAME or a directory"),
    });
    expect(readIdentity(out)).toEqual({ certPem, keyPem, caPem });
  });

  test("puts it where it is told to, for the hosts that are said", async () => {
    const out = join(scratch, "elsewhere");
    const args = ["certs", "issue", "manager", "--dir", kept, "--host", "m.example.org", "--out", out];
    expect(await heddle(args)).toMatchObject({ code: 0 });
    const { name, hosts } = readCertificate(readIdentity(out).certPem);
    expect({ name, hosts }).toEqual({ name: "manager", hosts: ["m.example.org", "localhost", "127.0.0.1", "::1"] });
  });

  test("warns of a server that nobody else can dial", async () => {
    const args = ["certs", "issue", "coordinator", "--dir", kept, "--kubernetes", "heddle-coordinator"];
    const { code, stderr } = await heddle(args);
    expect(code).toBe(0);
    expect(stderr).toContain("heddle: without --host this coordinator can be dialled from its own machine only\n");
    expect((await heddle([...args, "--host", "c.example.org"])).stderr).not.toContain("without --host");
  });

  test("prints a Secret and writes nothing", async () => {
    const before = files(kept);
    const { code, stdout, stderr } = await heddle([
      "certs",
      "issue",
      "agent",
      "rack7",
      "--dir",
      kept,
      "--kubernetes",
      "rack7",
    ]);
    expect(code).toBe(0);
    const [{ metadata, data }] = parseAllDocuments(stdout).map((document) => document.toJS());
    expect(metadata.name).toBe("rack7");
    expect(readCertificate(Buffer.from(data["tls.crt"], "base64").toString())).toMatchObject({
      role: "agent",
      name: "rack7",
    });
    expect(stderr).toMatch(/^Made Secret rack7: agent rack7, good until .*\n$/);
    expect(files(kept)).toEqual(before);
  });

  test.each([
    [["cleint"], 'there is no role "cleint": say client, agent, coordinator, manager, admin; did you mean client?'],
    [["client", "../x"], '"../x" is not a name (1-63 of a-z, 0-9 and -)'],
    [["client", "x", "--kubernetes", "a", "--out", "b"], "--kubernetes writes no file: leave out --out"],
    [
      ["client", "x", "--dir", "/nowhere"],
      'there is no authority in /nowhere/ca: say --dir, or make one with "heddle certs init"',
    ],
  ])("refuses %j", async (args, words) => {
    const ran = await heddle(["certs", "issue", "--dir", kept, ...args]);
    expect(ran).toEqual({ code: 2, stdout: "", stderr: `heddle: ${words}\n` });
  });
});

describe("heddle certs renew", () => {
  test("renews what has lived two thirds of its life, and with --all the others", async () => {
    const directory = copy("renew");
    const authority = readAuthority(join(directory, "ca"));
    const old = { days: 30, notBefore: new Date(Date.now() - 21 * DAY_MS) };
    writeIdentity(join(directory, "agent"), await authority.issue({ role: "agent", name: "rack7", ...old }));
    const keys = () => Object.fromEntries(roles.map((role) => [role, readIdentity(join(directory, role)).keyPem]));
    const first = keys();
    const { code, stdout, stderr } = await heddle(["certs", "renew", "--dir", directory]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^\S+\/agent: agent rack7 renewed until \d{4}-\d{2}-\d{2}$/m);
    expect(stdout).toMatch(/^\S+\/client: client client is good until \d{4}-\d{2}-\d{2}: not due, --all renews it$/m);
    const second = keys();
    expect(roles.filter((role) => first[role] !== second[role])).toEqual(["agent"]);
    const { role, name, notAfter } = readCertificate(readIdentity(join(directory, "agent")).certPem);
    expect({ role, name, days: Math.round((notAfter.getTime() - Date.now()) / DAY_MS) }).toEqual({
      role: "agent",
      name: "rack7",
      days: 30,
    });

    const some = [join(directory, "admin"), join(directory, "coordinator")];
    expect(await heddle(["certs", "renew", ...some, "--dir", directory, "--all", "--days", "9"])).toMatchObject({
      code: 0,
    });
    const third = keys();
    expect(roles.filter((each) => second[each] !== third[each])).toEqual(["coordinator", "admin"]);
    const { hosts, ...life } = readCertificate(readIdentity(join(directory, "coordinator")).certPem);
    expect(hosts).toContain("fabric.example.org");
    expect(Math.round((life.notAfter.getTime() - Date.now()) / DAY_MS)).toBe(9);
    expect(await shownIn(directory)).toMatchObject({ code: 0 });
  });

  test("tells of those that it cannot renew, and renews the others", async () => {
    const directory = copy("renew-some");
    writeIdentity(join(directory, "admin"), await (await createAuthority()).issue({ role: "admin" }));
    writeFileSync(join(directory, "agent/tls.crt"), "nothing");
    const { code, stdout, stderr } = await heddle(["certs", "renew", "--dir", directory, "--all"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^heddle: \S+\/admin: the certificate comes from "heddle authority [^"]+", not from this authority/m,
    );
    expect(stderr).toMatch(/^heddle: \S+\/agent: there is no certificate in PEM$/m);
    expect(stdout.match(/ renewed until /g)).toHaveLength(3);
  });
});

describe("heddle certs renew, of everything in a directory", () => {
  test("leaves the authority as it is, and says so", async () => {
    const directory = copy("renew-everything");
    const before = readFileSync(join(directory, "ca/ca.crt"), "utf8");
    const all = readdirSync(directory).map((name) => join(directory, name));
    const { code, stdout, stderr } = await heddle(["certs", "renew", ...all, "--dir", directory, "--all"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.match(/ renewed until /g)).toHaveLength(roles.length);
    expect(stdout).toContain(`${directory}/ca: an authority, left as it is\n`);
    expect(readFileSync(join(directory, "ca/ca.crt"), "utf8")).toBe(before);
  });

  test.each([
    [["--kubernetes"], "no file here has the hosts of these Secrets: say with --host"],
    [["--kubernetes", "--host", "a.example", "--all"], "--kubernetes renews no files: leave out directories and --all"],
    [["--host", "a.example"], "renew leaves the hosts as they are: leave out --host"],
    [["--namespace", "prod"], "--namespace is for Secrets: say --kubernetes, too"],
  ])("refuses %j and prints nothing", async (args, words) => {
    const { code, stdout, stderr } = await heddle(["certs", "renew", "--dir", kept, ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(words);
  });
});

describe("heddle certs show", () => {
  test("shows whose certificates there are, and for how long", async () => {
    const { code, stdout, stderr } = await heddle(["certs", "show", kept]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [headings, ...rows] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(headings).toEqual(["PATH", "ROLE", "NAME", "HOSTS", "UNTIL", "DAYS", "ISSUER", "STATE"]);
    const { name: issuer, notAfter } = readCertificate(readAuthority(join(kept, "ca")).certPem);
    const until = notAfter.toISOString().slice(0, 10);
    expect(rows.map(([path, role]) => [path, role])).toEqual(
      ["admin", "agent", "ca", "client", "coordinator", "manager"].map((each) => [
        join(kept, each),
        each === "ca" ? "authority" : each,
      ]),
    );
    expect(rows[2]).toEqual([join(kept, "ca"), "authority", issuer, "-", until, "3649", issuer, "ok"]);
    expect(rows[4]?.slice(2)).toEqual([
      "coordinator",
      "fabric.example.org,10.0.0.5,localhost,127.0.0.1,::1",
      expect.stringMatching(/^\d{4}-\d{2}-\d{2}$/),
      "364",
      issuer,
      "ok",
    ]);
  });

  test.each([
    [1, /^\d{4}-\d{2}-\d{2} \d{2}:\d{2} UTC$/],
    [2, /^\d{4}-\d{2}-\d{2} \d{2}:\d{2} UTC$/],
    [3, /^\d{4}-\d{2}-\d{2}$/],
  ])("shows the time of day where less than two days are left: of %d", async (days, until) => {
    const directory = join(scratch, `until-${days}`);
    writeIdentity(directory, await readAuthority(join(kept, "ca")).issue({ role: "agent", name: "n1", days }));
    const { stdout } = await heddle(["certs", "show", directory, "--no-headers"]);
    expect(stdout.trimEnd().split(/ {2,}/)[4]).toMatch(until);
  });

  test("shows files and single directories, with all details", async () => {
    const paths = [join(kept, "agent"), join(kept, "ca/ca.crt")];
    const { code, shown } = await shownIn(...paths);
    const facts = readCertificate(readIdentity(join(kept, "agent")).certPem);
    const { serial, fingerprint, notBefore, notAfter } = facts;
    expect({ code, paths: shown.map(({ path }) => path) }).toEqual({ code: 0, paths });
    expect(shown[0]).toEqual({
      ...{
        path: paths[0],
        role: "agent",
        name: "agent",
        hosts: [],
        daysLeft: 364,
        issuer: facts.issuer,
        serial,
        fingerprint,
      },
      ...{ notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString(), usable: true, problems: [] },
    });
    const wide = await heddle(["certs", "show", ...paths, "-o", "wide", "--no-headers"]);
    expect(wide.stdout.split("\n")[0]).toContain(`${serial}   ${fingerprint}   ok`);
  });

  test("calls out a key that others can read", async () => {
    const directory = copy("open");
    chmodSync(join(directory, "agent/tls.key"), 0o640);
    chmodSync(join(directory, "ca/ca.key"), 0o604);
    const { code, shown } = await shownIn(join(directory, "agent"), join(directory, "ca"));
    expect(code).toBe(0);
    expect(shown.map(({ problems }) => problems)).toEqual([
      ["tls.key is open to others (mode 0640)"],
      ["ca.key is open to others (mode 0604)"],
    ]);
    const { stderr } = await heddle(["certs", "issue", "client", "bob", "--dir", directory]);
    expect(stderr).toMatch(/^heddle: \S+\/ca\/ca\.key is open to others \(mode 0604\).*: chmod 600 it\n$/);
  });

  test("exits with 1 when a certificate cannot be used, and says why", async () => {
    const directory = copy("unusable");
    const authority = readAuthority(join(directory, "ca"));
    const past = { days: 1, notBefore: new Date(Date.now() - 2 * DAY_MS) };
    const at = (role: string): string => join(directory, role);
    writeIdentity(at("agent"), await authority.issue({ role: "agent", ...past }));
    writeIdentity(at("client"), await authority.issue({ role: "client", notBefore: new Date(Date.now() + DAY_MS) }));
    writeIdentity(at("admin"), { ...readIdentity(at("admin")), caPem: (await createAuthority()).certPem });
    cpSync(tlsFilesIn(at("coordinator")).keyFile, tlsFilesIn(at("manager")).keyFile);
    rmSync(tlsFilesIn(at("coordinator")).keyFile);
    const { code, shown } = await shownIn(directory);
    expect(code).toBe(1);
    expect(shown.map(({ path, usable, problems }) => [String(path).split("/").at(-1), usable, problems])).toEqual([
      ["admin", false, ["does not come from ca.crt"]],
      ["agent", false, ["expired"]],
      ["ca", true, []],
      ["client", false, ["not valid yet"]],
      ["coordinator", false, ["no tls.key"]],
      ["manager", false, ["tls.key is not its key"]],
    ]);
    expect((await heddle(["certs", "show", at("agent"), "--no-headers"])).stdout).toMatch(/ -1 .* expired$/m);
  });

  test("tells when renewal is due", async () => {
    const directory = join(scratch, "due");
    const old = { days: 30, notBefore: new Date(Date.now() - 21 * DAY_MS) };
    writeIdentity(directory, await readAuthority(join(kept, "ca")).issue({ role: "agent", ...old }));
    expect(await shownIn(directory)).toMatchObject({
      code: 0,
      shown: [{ usable: true, daysLeft: 8, problems: ["renewal is due"] }],
    });
  });

  test("says so where there is no certificate", async () => {
    const missing = await heddle(["certs", "show", join(scratch, "missing")]);
    expect(missing).toMatchObject({
      code: 3,
      stderr: `heddle: there is no ${scratch}/missing: "heddle certs init" makes certificates\n`,
    });
    const empty = mkdtempSync(join(scratch, "empty-"));
    expect(await heddle(["certs", "show", empty])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(`no certificate in ${empty}`),
    });
    const key = join(kept, "agent/tls.key");
    expect(await heddle(["certs", "show", key])).toMatchObject({
      code: 2,
      stderr: `heddle: ${key}: there is no certificate in PEM\n`,
    });
  });
});

test.each(["init", "issue", "renew", "show"])("heddle certs %s --help has examples", async (command) => {
  const { code, stdout } = await heddle(["certs", command, "--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`\nExamples:\n  heddle certs ${command}`));
});

test("the help says for how long certificates are good when nobody says so", async () => {
  const { stdout } = await heddle(["certs", "init", "--help"]);
  const defaults = [...stdout.matchAll(/--(\S*days) <days>[^-]*\(default: (\d+)\)/g)].map(([, option, days]) => [
    option,
    days,
  ]);
  expect(defaults).toEqual([
    ["days", String(IDENTITY_DAYS)],
    ["authority-days", String(AUTHORITY_DAYS)],
  ]);
});
