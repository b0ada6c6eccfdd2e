/**
 * A certificate, for `localhost` and 127.0.0.1 if nothing else is said, with an authority of its own, made anew for each test.
 *
 * @module
 */

import { runOrThrow } from "./process.ts";

/** Paths of PEM files. */
export interface Certificate {
  /** What a client has to trust, for instance by `DENO_CERT`. */
  authority: string;
  /** The server's certificate. */
  certificate: string;
  /** Its private key. */
  key: string;
}

/** Makes the files in `folder`; they are good for a day. `hosts` is what openssl calls a subjectAltName. */
export async function makeCertificate(
  folder: string,
  hosts = "DNS:localhost,IP:127.0.0.1",
): Promise<Certificate> {
  const made = {
    authority: `${folder}/authority.pem`,
    certificate: `${folder}/certificate.pem`,
    key: `${folder}/key.pem`,
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-batch"];
  const authorityKey = `${folder}/authority_key.pem`;
  const request = `${folder}/request.pem`;
  const names = `${folder}/names`;
  const openssl = (...args: string[]) => runOrThrow("openssl", args);
  await openssl(
    ...["req", "-x509", "-days", "1", "-subj", "/CN=test authority"],
    ...newKey,
    ...["-keyout", authorityKey, "-out", made.authority],
  );
  await openssl("req", "-subj", "/CN=localhost", ...newKey, "-keyout", made.key, "-out", request);
  await Deno.writeTextFile(names, `subjectAltName=${hosts}`);
  await openssl(
    ...["x509", "-req", "-days", "1", "-in", request, "-CA", made.authority, "-CAkey", authorityKey],
    ...["-CAcreateserial", "-extfile", names, "-out", made.certificate],
  );
  return made;
}
