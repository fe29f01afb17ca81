import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TlsFiles, tlsFilesIn } from "@heddle/port-rpc";

/** What a certificate of a test says. */
export interface TestCertificate {
  /** Its URIs, in full. Default: `spiffe://heddle/<role>/<name>` of the role and name that `issue` was given. */
  readonly uris?: readonly string[];
  /** DNS names it stands for. Default: localhost. */
  readonly hosts?: readonly string[];
  /** IP addresses it stands for. Default: 127.0.0.1 and ::1. */
  readonly ips?: readonly string[];
  /** When it begins and ends to be valid, in hours from now. Default: -1 and 24. */
  readonly fromHours?: number;
  readonly toHours?: number;
  /** What it may be used for. Default: clientAuth and serverAuth. */
  readonly uses?: readonly ("clientAuth" | "serverAuth")[];
  /** Files of an authority that the holder believes, if not the one that issued it. */
  readonly believes?: TestAuthority;
}

/** An authority of a test, in a directory of its own that is removed with it. */
export interface TestAuthority extends Disposable {
  /** PEM file of the authority's certificate. */
  readonly caFile: string;
  /** A directory with ca.crt, tls.crt and tls.key. `role` and `name` may be any text. */
  issue(role: string, name: string, certificate?: TestCertificate): TlsFiles & { readonly directory: string };
  /** An authority below this one; with `isAuthority` false a leaf that would be one. */
  issueAuthority(commonName: string, options?: { readonly isAuthority: boolean }): TestAuthority;
  /** Puts what `from` holds in the place of what `files` holds, each file whole, one after the other. */
  replace(files: TlsFiles, from: TlsFiles): void;
}

/** Makes an authority with openssl: elliptic curve keys, so that a leaf takes some 20 ms. */
export function openAuthority(commonName = "test authority"): TestAuthority {
  const signer = newSigner();
  const extensions = AUTHORITY_EXTENSIONS.flatMap((line) => ["-addext", line]);
  const parts = ["-key", signer.keyFile, "-out", signer.caFile, "-days", "2", "-subj", `/CN=${commonName}`];
  openssl("req", "-x509", "-new", ...parts, ...extensions);
  return authorityOf(signer);
}

const AUTHORITY_EXTENSIONS = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
const LEAF_EXTENSIONS = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"];

interface Signer {
  readonly directory: string;
  readonly keyFile: string;
  readonly caFile: string;
}

function newSigner(): Signer {
  const directory = mkdtempSync(join(tmpdir(), "heddle-certificates-"));
  const signer = { directory, keyFile: join(directory, "ca.key"), caFile: join(directory, "ca.crt") };
  makeKey(signer.keyFile);
  return signer;
}

function authorityOf(signer: Signer): TestAuthority {
  const { directory, caFile } = signer;
  let issued = 0;
  return {
    caFile,
    issue: (role, name, certificate = {}) => {
      const home = join(directory, `${++issued}`);
      mkdirSync(home);
      const files = tlsFilesIn(home);
      makeKey(files.keyFile);
      const lines = leafExtensions({ uris: [`spiffe://heddle/${role}/${name}`], ...certificate });
      sign(signer, { ...files, commonName: "test leaf", lines }, certificate);
      cpSync(certificate.believes?.caFile ?? caFile, files.caFile);
      return { ...files, directory: home };
    },
    issueAuthority: (commonName, { isAuthority } = { isAuthority: true }) => {
      const below = newSigner();
      const lines = isAuthority ? AUTHORITY_EXTENSIONS : LEAF_EXTENSIONS;
      sign(signer, { keyFile: below.keyFile, certFile: below.caFile, commonName, lines }, {});
      return authorityOf(below);
    },
    replace: (files, from) => {
      for (const [to, source] of [
        [files.caFile, from.caFile],
        [files.certFile, from.certFile],
        [files.keyFile, from.keyFile],
      ] as const) {
        cpSync(source, `${to}.new`);
        renameSync(`${to}.new`, to);
      }
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A directory of files as Kubernetes shows a secret: links to a directory that is swapped as a whole. Gives back the files and the swap. */
export function linkedSecret(parent: string, first: string): { files: TlsFiles; swap: (to: string) => void } {
  const home = join(parent, "secret");
  mkdirSync(home);
  const swap = (to: string): void => {
    symlinkSync(to, join(home, "..data.new"));
    renameSync(join(home, "..data.new"), join(home, "..data"));
  };
  swap(first);
  for (const file of ["ca.crt", "tls.crt", "tls.key"]) symlinkSync(join("..data", file), join(home, file));
  return { files: tlsFilesIn(home), swap };
}

function leafExtensions(certificate: TestCertificate): string[] {
  const { uris = [], hosts = ["localhost"], ips = ["127.0.0.1", "::1"] } = certificate;
  const { uses = ["clientAuth", "serverAuth"] } = certificate;
  const names = [
    ...uris.map((uri) => `URI:${uri}`),
    ...hosts.map((host) => `DNS:${host}`),
    ...ips.map((ip) => `IP:${ip}`),
  ];
  return [
    ...LEAF_EXTENSIONS,
    ...(uses.length === 0 ? [] : [`extendedKeyUsage=${uses.join(",")}`]),
    ...(names.length === 0 ? [] : [`subjectAltName=${names.join(",")}`]),
  ];
}

interface Request {
  readonly keyFile: string;
  readonly certFile: string;
  readonly commonName: string;
  readonly lines: readonly string[];
}

/** By `openssl ca`, because `openssl x509` of the versions in use takes days and no dates. */
function sign(signer: Signer, request: Request, { fromHours = -1, toHours = 24 }: TestCertificate): void {
  const home = mkdtempSync(join(tmpdir(), "heddle-signing-"));
  const at = (name: string): string => join(home, name);
  try {
    writeFileSync(at("index.txt"), "");
    writeFileSync(at("extensions.cnf"), request.lines.join("\n"));
    const one = `database=${at("index.txt")}\nnew_certs_dir=${home}\nrand_serial=yes\ndefault_md=sha256\npolicy=any`;
    writeFileSync(at("ca.cnf"), `[ca]\ndefault_ca=one\n[one]\n${one}\n[any]\ncommonName=supplied\n`);
    openssl("req", "-new", "-key", request.keyFile, "-out", at("request.csr"), "-subj", `/CN=${request.commonName}`);
    const dates = ["-startdate", dateAfter(fromHours), "-enddate", dateAfter(toHours)];
    const parts = ["-cert", signer.caFile, "-keyfile", signer.keyFile, "-extfile", at("extensions.cnf")];
    const files = ["-config", at("ca.cnf"), "-in", at("request.csr"), "-out", request.certFile];
    openssl("ca", "-batch", "-notext", ...files, ...parts, ...dates);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The time as `openssl ca` takes it: YYYYMMDDHHMMSSZ. */
function dateAfter(hours: number): string {
  return new Date(Date.now() + hours * 3_600_000).toISOString().replace(/[-:T]|\.\d+/g, "");
}

function makeKey(file: string): void {
  openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file);
}

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
