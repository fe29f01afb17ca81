import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { isIssuedBy, readAuthority, readCertificate, readIdentity, writeIdentity } from "@heddle/adapter-certificates";
import { InvalidArgumentError, NotFoundError, PermissionError } from "@heddle/kernel";
import { afterAll, describe, expect, test } from "vitest";
import { issue, renew } from "./certs-making.ts";
import { addressForOthers, addressHere, hostsAt, makeCertificates, mustBeLocal } from "./up-tls.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-up-tls-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const parties = ["coordinator", "agent", "client", "admin"] as const;
const textOf = (directory: string, file: string): string => readFileSync(join(directory, file), "utf8");
const certificates = (made: Readonly<Record<string, string>>): string[] =>
  parties.map((party) => textOf(made[party] ?? "", "tls.crt"));

describe("the certificates of a fabric that one command starts", () => {
  test("are one for each part, and go on for as long as they are good and the hosts are the same", async () => {
    const wanted = { directory: join(scratch, "lasting"), isLasting: true, hosts: ["a.example", "[::2]"] };
    const made = await makeCertificates(wanted);
    const facts = certificates(made).map(readCertificate);
    expect(facts.map(({ role }) => role)).toEqual(parties);
    expect(facts[0]?.hosts).toEqual(["a.example", "::2", "localhost", "127.0.0.1", "::1"]);
    expect(facts.slice(1).flatMap(({ hosts }) => hosts)).toEqual([]);
    expect(statSync(made.client).mode & 0o777).toBe(0o700);
    expect(statSync(join(made.client, "tls.key")).mode & 0o777).toBe(0o600);
    const before = certificates(made);
    expect(certificates(await makeCertificates(wanted))).toEqual(before);
    const more = certificates(await makeCertificates({ ...wanted, hosts: ["b.example"] }));
    expect(more.slice(1)).toEqual(before.slice(1));
    expect(readCertificate(more[0] ?? "").hosts).toContain("b.example");
  });

  test("are made anew when they are old, do not fit their key or come from elsewhere, by the authority of before", async () => {
    const wanted = { directory: join(scratch, "renewed"), isLasting: true, hosts: [] };
    const made = await makeCertificates(wanted);
    const authority = readAuthority(join(wanted.directory, "ca"));
    const longAgo = new Date(Date.now() - 300 * 86_400_000);
    writeIdentity(made.agent, await authority.issue({ role: "agent", notBefore: longAgo, days: 365 }));
    writeFileSync(join(made.client, "tls.key"), textOf(made.admin, "tls.key"));
    const others = await makeCertificates({ ...wanted, directory: join(scratch, "others") });
    writeFileSync(join(made.admin, "ca.crt"), textOf(others.admin, "ca.crt"));
    const before = certificates(made);
    const after = certificates(await makeCertificates(wanted));
    expect(after.map((pem, at) => pem === before[at])).toEqual([true, false, false, false]);
    for (const party of parties) expect(textOf(made[party], "ca.crt")).toBe(authority.certPem);
  });

  test("may be more than its own: who has one in their name is believed, and the next start leaves it as it is", async () => {
    const wanted = { directory: join(scratch, "people"), isLasting: true, hosts: [] };
    const { client } = await makeCertificates(wanted);
    const options = { dir: wanted.directory, host: [], secrets: undefined };
    await issue({ ...options, role: "client", name: "alice", days: 1 }, () => undefined);
    const alice = join(wanted.directory, "client-alice");
    const { certPem, caPem } = readIdentity(alice);
    expect(readCertificate(certPem)).toMatchObject({ role: "client", name: "alice" });
    expect([caPem, isIssuedBy(certPem, readIdentity(client).caPem)]).toEqual([readIdentity(client).caPem, true]);
    const told: string[] = [];
    const renewAll = (all: boolean) => renew([], { dir: wanted.directory, all }, (text) => void told.push(text));
    await makeCertificates(wanted);
    await renewAll(false);
    expect(readIdentity(alice).certPem).toBe(certPem);
    await renewAll(true);
    expect(told.filter((text) => text.includes(" renewed until "))).toHaveLength(5);
    expect(readIdentity(alice).certPem).not.toBe(certPem);
  });

  test("of a fabric that leaves nothing have an authority whose key was never written down", async () => {
    const directory = join(scratch, "fleeting");
    await makeCertificates({ directory, isLasting: false, hosts: [] });
    expect(existsSync(join(directory, "ca"))).toBe(false);
  });

  test("are not made by a new authority when half of the old one is missing: nobody would be believed any more", async () => {
    const wanted = { directory: join(scratch, "half"), isLasting: true, hosts: [] };
    await makeCertificates(wanted);
    rmSync(join(wanted.directory, "ca", "ca.key"));
    await expect(makeCertificates(wanted)).rejects.toThrow(NotFoundError);
    await expect(makeCertificates(wanted)).rejects.toThrow(/ca\.key/);
  });
});

test("a fabric without TLS serves this machine alone, and the refusal says both ways out", () => {
  for (const near of ["127.0.0.1:0", "localhost:1", "[::1]:1", "unix:/tmp/x"]) mustBeLocal(near);
  for (const far of ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "box.example:1"]) {
    expect(() => mustBeLocal(far)).toThrow(PermissionError);
    expect(() => mustBeLocal(far)).toThrow(/Add --tls.*\n.*--tls-dir/);
  }
});

describe("the names of a coordinator", () => {
  const own = hostname().toLowerCase();

  test("are those given, where it listens, and the machine's own", () => {
    expect(hostsAt("10.0.0.1:1", ["box.example"])).toEqual(["box.example", "10.0.0.1", own]);
    expect(hostsAt("0.0.0.0:1", [])).toContain(own);
    expect(hostsAt("0.0.0.0:1", [])).not.toContain("0.0.0.0");
    expect(() => hostsAt("unix:/tmp/x", [])).toThrow(InvalidArgumentError);
  });

  test("are used by its own agents and told to others, in place of an address that nobody can dial", async () => {
    expect([addressHere("10.0.0.1:1"), addressHere("0.0.0.0:1"), addressHere("[::]:1")]).toEqual([
      "10.0.0.1:1",
      "127.0.0.1:1",
      "[::1]:1",
    ]);
    expect(await addressForOthers("10.0.0.1:1", ["box.example"])).toBe("10.0.0.1:1");
    expect(await addressForOthers("0.0.0.0:1", ["*.example", "box.example"])).toBe("box.example:1");
    expect(await addressForOthers("[::]:1", ["2001:db8::1"])).toBe("[2001:db8::1]:1");
    expect([...hostsAt("0.0.0.0:1", []), "127.0.0.1"]).toContain(
      (await addressForOthers("0.0.0.0:1", [])).replace(/:1$/, "").toLowerCase(),
    );
  });

  test("are, where none was given, the machine's own when it leads anywhere, else an address that its certificate has", async () => {
    const self = { name: "box", addresses: ["2001:db8::1", "10.0.0.1"], leads: () => Promise.resolve(false) };
    const known = { ...self, leads: (name: string) => Promise.resolve(name === "box") };
    expect(await addressForOthers("0.0.0.0:1", [], known)).toBe("box:1");
    expect(await addressForOthers("0.0.0.0:1", [], self)).toBe("10.0.0.1:1");
    expect(await addressForOthers("[::]:1", [], self)).toBe("[2001:db8::1]:1");
    expect(await addressForOthers("0.0.0.0:1", [], { ...known, name: "no_name" })).toBe("10.0.0.1:1");
    expect(await addressForOthers("0.0.0.0:1", [], { ...self, addresses: [] })).toBe("127.0.0.1:1");
  });
});
