/**
 * A disk that can be filled to the last byte without harm to anybody.
 *
 * @module
 */

import { run, type TemporaryFolder, temporaryFolder } from "../support/process.ts";

const CHUNK = new Uint8Array(65_536);

/** A file system in memory. */
export class SmallDisk implements AsyncDisposable {
  readonly #folder: TemporaryFolder;

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
  }

  /** Mounts one of so many bytes, or says why it cannot. */
  static async mount(bytes: number): Promise<SmallDisk | string> {
    if (Deno.build.os !== "linux") return "a small disk is mounted on Linux only";
    const folder = await temporaryFolder();
    const { code, stderr } = await run("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder.path])
      .catch((error) => ({ code: 1, stderr: String(error) }));
    if (code === 0) return new SmallDisk(folder);
    await folder[Symbol.asyncDispose]();
    return `mounting a small disk takes root and a system that allows it: ${stderr.trim()}`;
  }

  /** Where it is mounted. */
  get path(): string {
    return this.#folder.path;
  }

  /** Leaves no byte free. */
  fill(): void {
    using file = Deno.openSync(`${this.path}/filler`, { write: true, create: true });
    for (let chunk = CHUNK; chunk.length > 0;) {
      try {
        if (file.writeSync(chunk) === 0) return;
      } catch {
        // Full; perhaps a smaller piece still fits.
        chunk = chunk.subarray(0, chunk.length >> 1);
      }
    }
  }

  /** Gives back what {@linkcode fill} took. */
  async clear(): Promise<void> {
    await Deno.remove(`${this.path}/filler`);
  }

  /** Unmounts it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", [this.path]);
    await this.#folder[Symbol.asyncDispose]();
  }
}
