/**
 * Where the local history lies and who may read it.
 *
 * @module
 */

/** The folder inside `folder` for one server. The colons of an IPv6 address are not for file names everywhere. */
export function serverFolder(folder: string, host: string, port: number): string {
  return `${folder}/${host.toLowerCase().replace(/[^\w.-]/g, "_")}_${port}`;
}

/**
 * Makes sure that a history file exists in `folder` and that nobody else can read it: the folder 0700, the file 0600 before
 * anything is in it. SQLite gives its side files the same mode. Returns the file's path.
 */
export function prepareHistoryFile(folder: string, name: string): string {
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}/${name}`;
  Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
  if (Deno.build.os !== "windows") {
    // Both may have been there before, with other modes.
    Deno.chmodSync(folder, 0o700);
    Deno.chmodSync(path, 0o600);
  }
  return path;
}
