import { InvalidArgumentError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { createAuthority } from "./authority.ts";
import { keyFits } from "./keys.ts";
import { kubernetesSecret } from "./kubernetes.ts";
import { DAY_MS } from "./limits.ts";
import { readCertificate } from "./read-certificate.ts";
import { isRenewalDue, renewed } from "./renewal.ts";
import { Bench } from "./test-openssl.ts";

const authority = await createAuthority();

test("a certificate is due once it has lived two thirds of its life", () => {
  const life = { notBefore: new Date(0), notAfter: new Date(9_000) };
  expect([0, 5_999, 6_000, 9_000, 10_000].map((nowMs) => isRenewalDue(life, nowMs))).toEqual([
    false,
    false,
    true,
    true,
    true,
  ]);
});

test("a renewed identity is the same party with a new key, for as long as before or as is said", async () => {
  using bench = new Bench();
  const request = { role: "coordinator", name: "west", hosts: ["a.example", "::2"], days: 30 } as const;
  const old = await authority.issue({ ...request, notBefore: new Date(Date.now() - 29 * DAY_MS) });
  const fresh = await renewed(authority, await renewed(authority, old));
  const { notBefore, notAfter, serial, ...facts } = readCertificate(fresh.certPem);
  const { role, name, hosts } = readCertificate(old.certPem);
  expect(facts).toMatchObject({ role, name, hosts });
  expect(Math.round((notAfter.getTime() - Date.now()) / DAY_MS)).toBe(30);
  expect(notBefore.getTime()).toBeGreaterThan(Date.now() - DAY_MS);
  expect(bench.verdict(fresh)).toBe("OK");
  expect([keyFits(fresh.certPem, fresh.keyPem), keyFits(fresh.certPem, old.keyPem)]).toEqual([true, false]);
  const longer = readCertificate((await renewed(authority, old, 90)).certPem);
  expect(Math.round((longer.notAfter.getTime() - Date.now()) / DAY_MS)).toBe(90);
});

test("an identity goes on believing whom it believed", async () => {
  const other = await createAuthority();
  const old = await authority.issue({ role: "client" });
  const both = `${other.certPem}${authority.certPem}`;
  expect((await renewed(authority, { ...old, caPem: both })).caPem).toBe(both);
  expect((await renewed(authority, { ...old, caPem: other.certPem })).caPem).toBe(authority.certPem);
});

test("only parties of the same authority are renewed", async () => {
  const other = await createAuthority({ name: "the other one" });
  const foreign = renewed(authority, await other.issue({ role: "client" }));
  await expect(foreign).rejects.toThrow(InvalidArgumentError);
  await expect(foreign).rejects.toThrow(
    /^the certificate comes from "the other one", not from this authority \("heddle authority /,
  );
  const none = renewed(authority, { certPem: authority.certPem, caPem: authority.certPem });
  await expect(none).rejects.toThrow("the certificate names no role");
});

test("a Secret of Kubernetes has the three files of a directory", async () => {
  const identity = await authority.issue({ role: "agent" });
  const secret = kubernetesSecret({ name: "heddle-agent", namespace: "prod", labels: { app: "x" } }, identity);
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  expect(secret).toEqual({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "heddle-agent", namespace: "prod", labels: { app: "x" } },
    type: "kubernetes.io/tls",
    data: { "ca.crt": base64(identity.caPem), "tls.crt": base64(identity.certPem), "tls.key": base64(identity.keyPem) },
  });
  expect(kubernetesSecret({ name: "a.b" }, identity)).toMatchObject({ metadata: { name: "a.b" } });
  for (const name of ["", "A", "a_b", "a.", "-a", "a".repeat(254)])
    expect(() => kubernetesSecret({ name }, identity)).toThrow(/cannot be the name of a Secret/);
  expect(() => kubernetesSecret({ name: "a", namespace: "a.b" }, identity)).toThrow(/cannot be a namespace/);
});
