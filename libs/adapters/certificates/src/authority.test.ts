import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { checkServerIdentity, connect, createServer, type PeerCertificate, type TLSSocket } from "node:tls";
import { InvalidArgumentError, type Role, roles, StateError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { type Authority, authorityOf, createAuthority, type Identity } from "./authority.ts";
import { AUTHORITY_DAYS, CLOCK_DIFFERENCE_MS, DAY_MS, IDENTITY_DAYS } from "./limits.ts";
import { readCertificate } from "./read-certificate.ts";
import { Bench } from "./test-openssl.ts";

const authority = await createAuthority();

test("an authority can sign, and nothing that it signs can", async () => {
  using bench = new Bench();
  const extensions = ["-ext", "basicConstraints,keyUsage,extendedKeyUsage"];
  expect(bench.text(authority.certPem, ...extensions).split(/\n\s*/)).toEqual([
    "X509v3 Basic Constraints: critical",
    "CA:TRUE, pathlen:0",
    "X509v3 Key Usage: critical",
    "Certificate Sign, CRL Sign",
  ]);
  const { certPem } = await authority.issue({ role: "client" });
  expect(bench.text(certPem, ...extensions).split(/\n\s*/)).toEqual([
    "X509v3 Basic Constraints: critical",
    "CA:FALSE",
    "X509v3 Key Usage: critical",
    "Digital Signature",
    "X509v3 Extended Key Usage: ",
    "TLS Web Client Authentication",
  ]);
});

test.each<[Role, string[]]>([
  ["client", ["sslclient"]],
  ["agent", ["sslclient"]],
  ["admin", ["sslclient"]],
  ["coordinator", ["sslserver", "sslclient"]],
  ["manager", ["sslserver", "sslclient"]],
])("OpenSSL at its strictest believes what is issued to a %s for %j", async (role, purposes) => {
  using bench = new Bench();
  const identity = await authority.issue({ role });
  const believed = ["sslserver", "sslclient"].filter((each) => bench.verdict(identity, "-purpose", each) === "OK");
  expect(believed.sort()).toEqual(purposes.sort());
  expect(bench.verdict({ ...identity, caPem: (await createAuthority()).certPem })).toMatch(/issuer certificate/);
});

test("a certificate says who its owner is and where a server is, and by which key of which authority", async () => {
  using bench = new Bench();
  const hosts = [
    "Fabric.Example.org",
    "*.nodes.example.org",
    "10.0.0.5",
    "[2001:DB8:0::1]",
    "::ffff:1.2.3.4",
    "localhost",
  ];
  const { certPem, caPem } = await authority.issue({ role: "coordinator", name: "west-1", hosts });
  expect(bench.text(certPem, "-ext", "subjectAltName").split(/\n\s*/)[1]?.split(", ")).toEqual([
    "URI:spiffe://heddle/coordinator/west-1",
    "DNS:fabric.example.org",
    "DNS:*.nodes.example.org",
    "IP Address:10.0.0.5",
    "IP Address:2001:DB8:0:0:0:0:0:1",
    "IP Address:0:0:0:0:0:FFFF:102:304",
    "DNS:localhost",
    "IP Address:127.0.0.1",
    "IP Address:0:0:0:0:0:0:0:1",
  ]);
  const [keyId, authorityKeyId] = ["subjectKeyIdentifier", "authorityKeyIdentifier"].map((name) =>
    bench.text(certPem, "-ext", name).split(/\n\s*/).at(-1),
  );
  expect(authorityKeyId).toBe(bench.text(caPem, "-ext", "subjectKeyIdentifier").split(/\n\s*/).at(-1));
  expect(keyId).toMatch(/^([0-9A-F]{2}:){19}[0-9A-F]{2}$/);
  expect(keyId).not.toBe(authorityKeyId);
  expect(readCertificate(certPem)).toMatchObject({
    role: "coordinator",
    name: "west-1",
    hosts: [
      "fabric.example.org",
      "*.nodes.example.org",
      "10.0.0.5",
      "2001:db8::1",
      "::ffff:102:304",
      "localhost",
      "127.0.0.1",
      "::1",
    ],
    issuer: readCertificate(caPem).name,
    isAuthority: false,
  });
});

test("only servers can be dialled at their own machine; others have the hosts that were given", async () => {
  const hosts = await Promise.all(
    roles.map(async (role) => [role, readCertificate((await authority.issue({ role })).certPem).hosts]),
  );
  const own = ["localhost", "127.0.0.1", "::1"];
  expect(Object.fromEntries(hosts)).toEqual({ client: [], agent: [], coordinator: own, manager: own, admin: [] });
});

test("keys are of the curve P-256, signatures are by SHA-256, and no two parties share a key", async () => {
  using bench = new Bench();
  const [one, other] = await Promise.all([authority.issue({ role: "client" }), authority.issue({ role: "client" })]);
  for (const pem of [authority.certPem, one.certPem, other.certPem]) {
    const text = bench.text(pem, "-text");
    expect(text.match(/Signature Algorithm: (\S+)/g)).toEqual(Array(2).fill("Signature Algorithm: ecdsa-with-SHA256"));
    expect(text).toContain("NIST CURVE: P-256");
  }
  for (const { certPem, keyPem } of [one, other, authority]) {
    const key = bench.file("key.pem", keyPem);
    expect(bench.openssl("pkey", "-in", key, "-pubout")).toBe(`${bench.text(certPem, "-pubkey")}\n`);
  }
  expect(one.keyPem).not.toBe(other.keyPem);
});

test("serial numbers are positive and have 128 random bits", async () => {
  using bench = new Bench();
  const issued = await Promise.all(Array.from({ length: 64 }, () => authority.issue({ role: "client" })));
  const serials = issued.map(({ certPem }) => new X509Certificate(certPem).serialNumber);
  expect(new Set(serials).size).toBe(64);
  expect(serials.filter((serial) => /^[0-9A-F]+$/.test(serial) && serial.length > 26)).toHaveLength(64);
  const highest = issued[serials.findIndex((serial) => serial.length === 32 && serial >= "8")];
  expect(bench.text(highest?.certPem ?? "", "-serial")).toMatch(/^serial=[89A-F][0-9A-F]{31}$/); // without a minus sign
  expect(serials).toEqual(
    issued.map(({ certPem }) => readCertificate(certPem).serial.replace(/^00/, "").toUpperCase()),
  );
});

test("certificates are good from a few minutes ago on, for as many days as was said", async () => {
  const beforeMs = Date.now();
  const made: [string, number][] = [
    [authority.certPem, AUTHORITY_DAYS],
    [(await authority.issue({ role: "agent" })).certPem, IDENTITY_DAYS],
    [(await authority.issue({ role: "agent", days: 3 })).certPem, 3],
  ];
  for (const [pem, days] of made) {
    const { notBefore, notAfter } = readCertificate(pem);
    expect(notAfter.getTime() - notBefore.getTime() - days * DAY_MS).toBe(CLOCK_DIFFERENCE_MS);
    expect(Math.abs(notBefore.getTime() + CLOCK_DIFFERENCE_MS - beforeMs)).toBeLessThan(30_000);
  }
});

test("years from 2050 on are written as they have to be", async () => {
  using bench = new Bench();
  const old = await createAuthority({ days: 36_500 });
  const identity = await old.issue({ role: "client", days: 20_000 });
  expect(bench.verdict(identity)).toBe("OK");
  expect(bench.openssl("asn1parse", "-in", bench.file("a.pem", identity.certPem))).toMatch(
    /GENERALIZEDTIME +:20\d{12}Z\n/,
  );
});

test("nobody is good for longer than the authority, and one that is over signs nothing", async () => {
  const short = await createAuthority({ days: 2 });
  const { certPem } = await short.issue({ role: "client" });
  expect(readCertificate(certPem).notAfter).toEqual(readCertificate(short.certPem).notAfter);
  const over = await createAuthority({ days: 1, notBefore: new Date(Date.now() - 2 * DAY_MS) });
  await expect(over.issue({ role: "client" })).rejects.toThrow(StateError);
  await expect(over.issue({ role: "client" })).rejects.toThrow(/expired at 20.*Z: make a new one$/);
  const later = { role: "client", notBefore: new Date(Date.now() + 3 * DAY_MS) } as const;
  await expect(short.issue(later)).rejects.toThrow(StateError);
});

test("an authority is had again from its certificate and key, and only if they belong together", async () => {
  using bench = new Bench();
  const again = authorityOf(authority.certPem, authority.keyPem);
  expect(bench.verdict({ ...(await again.issue({ role: "agent" })), caPem: authority.certPem })).toBe("OK");
  const other = await createAuthority();
  expect(() => authorityOf(authority.certPem, other.keyPem)).toThrow(/not that of the authority's certificate/);
  const { certPem, keyPem } = await authority.issue({ role: "admin" });
  expect(() => authorityOf(certPem, keyPem)).toThrow("the certificate is not an authority's");
  expect(() => authorityOf(authority.certPem, "secret")).toThrow(/^this is not a private key in PEM/);
  const wrong = bench.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp384r1");
  expect(() => authorityOf(authority.certPem, wrong)).toThrow(/of the curve P-256, not secp384r1$/);
});

test.each<[string, Partial<Parameters<Authority["issue"]>[0]>]>([
  ['"a/b" is not a name (1-63 of a-z, 0-9 and -)', { name: "a/b" }],
  ['"" is not a name', { name: "" }],
  ['"host:7433" is not a host: say a name or an IP address, without a port', { hosts: ["host:7433"] }],
  ['"127.1" is not a host', { hosts: ["127.1"] }],
  ['"a..b" is not a host', { hosts: ["a..b"] }],
  ['"-a" is not a host', { hosts: ["-a"] }],
  ['"a,DNS:b" is not a host', { hosts: ["a,DNS:b"] }],
  ['"fe80::1%eth0" is not a host', { hosts: ["fe80::1%eth0"] }],
  ['"" is not a host', { hosts: [""] }],
  ["a certificate has at most 100 hosts, not 101", { hosts: Array.from({ length: 101 }, (_, index) => `h${index}`) }],
  ["a certificate is good for 1 to 36500 whole days, not 0", { days: 0 }],
  ["a certificate is good for 1 to 36500 whole days, not 1.5", { days: 1.5 }],
  ["a certificate is good for 1 to 36500 whole days, not 36501", { days: 36_501 }],
])("refused: %s", async (words, wrong) => {
  const issued = authority.issue({ role: "client", ...wrong });
  await expect(issued).rejects.toThrow(InvalidArgumentError);
  await expect(issued).rejects.toThrow(words);
});

test("authorities are told apart by their names", async () => {
  const names = await Promise.all([createAuthority(), createAuthority(), createAuthority({ name: "Fabric of Tests" })]);
  const [one, other, given] = names.map(({ certPem }) => readCertificate(certPem).name);
  expect(one).toMatch(/^heddle authority [0-9a-f]{8}$/);
  expect(other).not.toBe(one);
  expect(given).toBe("Fabric of Tests");
  await expect(createAuthority({ name: "x, CN=y" })).rejects.toThrow(/"x, CN=y" is not an authority's name/);
});

test("a server and its clients believe each other over TLS by what was issued, and nobody else", async () => {
  const server = await authority.issue({ role: "coordinator", hosts: ["fabric.example.org", "10.0.0.5"] });
  const client = await authority.issue({ role: "client", name: "alice" });
  for (const host of ["localhost", "127.0.0.1", "::1", "fabric.example.org", "10.0.0.5"])
    expect([host, await handshake(server, client, host)]).toEqual([host, { atClient: "ok", atServer: "ok" }]);
  const clientSays = async (one: Identity, host = "localhost") => (await handshake(one, client, host)).atClient;
  const serverSays = async (one: Identity) => (await handshake(server, one, "localhost")).atServer;
  const past = { days: 1, notBefore: new Date(Date.now() - 2 * DAY_MS) };
  const future = { notBefore: new Date(Date.now() + DAY_MS) };
  const stranger = { ...(await (await createAuthority()).issue({ role: "client" })), caPem: server.caPem };
  expect(await clientSays(server, "other.example.org")).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  expect(await clientSays(await authority.issue({ role: "coordinator", ...past }))).toBe("CERT_HAS_EXPIRED");
  expect(await clientSays(await authority.issue({ role: "coordinator", ...future }))).toBe("CERT_NOT_YET_VALID");
  expect(await clientSays(await authority.issue({ role: "agent", hosts: ["localhost"] }))).toBe("INVALID_PURPOSE");
  expect(await serverSays(await authority.issue({ role: "client", ...past }))).toBe("CERT_HAS_EXPIRED");
  expect(await serverSays(await authority.issue({ role: "client", ...future }))).toBe("CERT_NOT_YET_VALID");
  expect(await serverSays(stranger)).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
});

/** What each side makes of the other's certificate: "ok", or why it does not believe it. */
async function handshake(
  server: Identity,
  client: Identity,
  host: string,
): Promise<{ readonly atClient: string; readonly atServer: string }> {
  const files = ({ certPem, keyPem, caPem }: Identity) => ({ cert: certPem, key: keyPem, ca: caPem });
  const options = { minVersion: "TLSv1.3", requestCert: true, rejectUnauthorized: true } as const;
  const listener = createServer({ ...files(server), ...options }, (socket) => void socket.destroy());
  const atServer = Promise.withResolvers<string>();
  listener.once("secureConnection", () => atServer.resolve("ok"));
  listener.once("tlsClientError", (error: NodeJS.ErrnoException, { authorizationError }: TLSSocket) =>
    atServer.resolve(String(authorizationError ?? error.code)),
  );
  await once(listener.listen(0, "127.0.0.1"), "listening");
  try {
    const { port } = listener.address() as AddressInfo;
    const asked = {
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate),
    };
    const socket = connect({ ...files(client), ...asked, host: "127.0.0.1", port });
    const atClient = await once(socket, "secureConnect").then(() => "ok", codeOf);
    socket.on("error", () => undefined); // the server may have closed it
    return { atClient, atServer: await atServer.promise };
  } finally {
    listener.close();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
