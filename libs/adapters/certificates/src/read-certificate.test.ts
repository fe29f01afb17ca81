import { InvalidArgumentError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { createAuthority } from "./authority.ts";
import { certificatesIn, isIssuedBy, readCertificate } from "./read-certificate.ts";
import { Bench } from "./test-openssl.ts";

const authority = await createAuthority();

/** A certificate that signed itself, with these names. */
function certificateWith(bench: Bench, names: string): string {
  const subject = ["-subj", "/CN=somebody/O=elsewhere", "-addext", `subjectAltName=${names}`];
  return bench.openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "made.key", ...subject);
}

test("fingerprint and serial number are those that OpenSSL shows", async () => {
  using bench = new Bench();
  const { certPem } = await authority.issue({ role: "client" });
  const { fingerprint, serial } = readCertificate(certPem);
  expect(bench.text(certPem, "-fingerprint", "-sha256")).toBe(`sha256 Fingerprint=${fingerprint}`);
  expect(bench.text(certPem, "-serial")).toBe(`serial=${serial.toUpperCase().replace(/^00/, "")}`);
});

test("a party is whom exactly one URI names; with another one it is nobody", () => {
  using bench = new Bench();
  const read = (names: string) => {
    const { role, name } = readCertificate(certificateWith(bench, names));
    return { role, name };
  };
  const nobody = { role: undefined, name: "somebody" };
  expect(read("URI:spiffe://heddle/agent/Rack_7.a,DNS:x.example,email:a@b.example")).toEqual({
    role: "agent",
    name: "Rack_7.a",
  });
  expect(read("DNS:x.example")).toEqual(nobody);
  expect(read("DNS:spiffe.heddle.agent")).toEqual(nobody);
  expect(read("URI:spiffe://heddle/agent/a,URI:spiffe://heddle/admin/a")).toEqual(nobody);
  expect(read("URI:spiffe://heddle/agent/a,URI:https://example.org/")).toEqual(nobody);
  for (const uri of ["heddle/root/a", "heddle/agent/", "heddle/agent/a/b", "elsewhere/agent/a", "heddle/agent"])
    expect([uri, read(`URI:spiffe://${uri}`)]).toEqual([uri, nobody]);
});

test("a certificate comes from an authority when that signed it, or one between them did", async () => {
  using bench = new Bench();
  const { certPem } = await authority.issue({ role: "client" });
  const other = await createAuthority();
  expect(isIssuedBy(certPem, authority.certPem)).toBe(true);
  expect(isIssuedBy(certPem, other.certPem + authority.certPem)).toBe(true);
  expect(isIssuedBy(certPem, other.certPem)).toBe(false);
  expect(isIssuedBy(certPem, certPem)).toBe(false);

  const sign = (name: string, by: string, extension: string): string => {
    bench.openssl(
      "req",
      "-new",
      "-newkey",
      "ed25519",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-subj",
      `/CN=${name}`,
      "-out",
      `${name}.csr`,
    );
    bench.file("extension", extension);
    const issuer =
      by === name ? ["-signkey", `${by}.key`] : ["-CA", `${by}.crt`, "-CAkey", `${by}.key`, "-CAcreateserial"];
    return bench.file(
      `${name}.crt`,
      bench.openssl("x509", "-req", "-in", `${name}.csr`, ...issuer, "-extfile", "extension"),
    );
  };
  const pem = (path: string): string => bench.openssl("x509", "-in", path);
  const [root, between] = [
    pem(sign("root", "root", "basicConstraints=CA:TRUE")),
    pem(sign("between", "root", "basicConstraints=CA:TRUE\nauthorityKeyIdentifier=none")),
  ];
  const leaf = pem(sign("leaf", "between", "basicConstraints=CA:FALSE"));
  const belowLeaf = pem(sign("below", "leaf", "basicConstraints=CA:FALSE"));
  expect(isIssuedBy(leaf + between, root)).toBe(true);
  expect(isIssuedBy(leaf, between)).toBe(true);
  expect(isIssuedBy(leaf, root)).toBe(false);
  expect(isIssuedBy(leaf + root + root, between)).toBe(true);
  expect(isIssuedBy(leaf + between + root, authority.certPem)).toBe(false); // the root, which signed itself, is no way without an end
  const namesake = pem(sign("root", "root", "basicConstraints=CA:TRUE"));
  expect([isIssuedBy(between, root), isIssuedBy(between, namesake)]).toEqual([true, false]);
  expect(isIssuedBy(belowLeaf + leaf + between, root)).toBe(false); // the leaf is no authority
});

test("what is no certificate is refused; text around certificates is not read", async () => {
  const { certPem, keyPem, caPem } = await authority.issue({ role: "client" });
  expect(() => readCertificate(keyPem)).toThrow(InvalidArgumentError);
  expect(() => readCertificate("")).toThrow("there is no certificate in PEM");
  expect(() => readCertificate(certPem.replace("MII", "MIX"))).toThrow("the certificate in PEM is broken");
  expect(certificatesIn(`Bag of\n${certPem}and\n${caPem}`)).toEqual([certPem.trim(), caPem.trim()]);
});
