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
  /** Puts what `from` holds in the place of what `files` holds, each file whole, one after the other. */
  replace(files: TlsFiles, from: TlsFiles): void;
}

/** Makes an authority with openssl: elliptic curve keys, so that a leaf takes some 20 ms. */
export function openAuthority(commonName = "test authority"): TestAuthority {
  const directory = mkdtempSync(join(tmpdir(), "heddle-certificates-"));
  const [keyFile, caFile] = [join(directory, "ca.key"), join(directory, "ca.crt")];
  makeKey(keyFile);
  const extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
  openssl(
    "req",
    "-x509",
    "-new",
    "-key",
    keyFile,
    "-out",
    caFile,
    "-days",
    "2",
    "-subj",
    `/CN=${commonName}`,
    ...addExt(extensions),
  );
  let issued = 0;
  return {
    caFile,
    issue: (role, name, certificate = {}) => {
      const home = join(directory, `${++issued}`);
      mkdirSync(home);
      const files = tlsFilesIn(home);
      makeKey(files.keyFile);
      makeLeaf({ keyFile, caFile }, home, files, { uris: [`spiffe://heddle/${role}/${name}`], ...certificate });
      cpSync(certificate.believes?.caFile ?? caFile, files.caFile);
      return { ...files, directory: home };
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

function makeLeaf(
  authority: { readonly keyFile: string; readonly caFile: string },
  home: string,
  files: TlsFiles,
  certificate: TestCertificate,
): void {
  const {
    uris = [],
    hosts = ["localhost"],
    ips = ["127.0.0.1", "::1"],
    uses = ["clientAuth", "serverAuth"],
  } = certificate;
  const names = [
    ...uris.map((uri) => `URI:${uri}`),
    ...hosts.map((host) => `DNS:${host}`),
    ...ips.map((ip) => `IP:${ip}`),
  ];
  const lines = [
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    ...(uses.length === 0 ? [] : [`extendedKeyUsage=${uses.join(",")}`]),
    ...(names.length === 0 ? [] : [`subjectAltName=${names.join(",")}`]),
  ];
  const extensionFile = join(home, "extensions.cnf");
  writeFileSync(extensionFile, lines.join("\n"));
  const requestFile = join(home, "request.csr");
  openssl("req", "-new", "-key", files.keyFile, "-out", requestFile, "-subj", "/CN=test leaf");
  signBetween(authority, { requestFile, extensionFile, certFile: files.certFile }, certificate);
}

/** `openssl ca`, because `openssl x509` of the versions in use takes days and no dates. */
function signBetween(
  authority: { readonly keyFile: string; readonly caFile: string },
  request: { readonly requestFile: string; readonly extensionFile: string; readonly certFile: string },
  { fromHours = -1, toHours = 24 }: TestCertificate,
): void {
  const home = mkdtempSync(join(tmpdir(), "heddle-signing-"));
  try {
    writeFileSync(join(home, "index.txt"), "");
    const config = join(home, "ca.cnf");
    writeFileSync(
      config,
      [
        "[ca]",
        "default_ca=one",
        "[one]",
        `database=${join(home, "index.txt")}`,
        `new_certs_dir=${home}`,
        "rand_serial=yes",
        "default_md=sha256",
        "policy=any",
        "[any]",
        "commonName=supplied",
      ].join("\n"),
    );
    const dates = ["-startdate", dateAfter(fromHours), "-enddate", dateAfter(toHours)];
    const parts = ["-cert", authority.caFile, "-keyfile", authority.keyFile, "-extfile", request.extensionFile];
    openssl(
      "ca",
      "-batch",
      "-notext",
      "-config",
      config,
      ...parts,
      ...dates,
      "-in",
      request.requestFile,
      "-out",
      request.certFile,
    );
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

function addExt(lines: readonly string[]): string[] {
  return lines.flatMap((line) => ["-addext", line]);
}

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
