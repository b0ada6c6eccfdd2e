import nodeAssert from "node:assert/strict";
export function assert(x: unknown): asserts x { if (!x) throw new Error("no"); }
export function assertEquals<T>(a:T,b:T){nodeAssert.deepEqual(a,b)}
export async function assertRejects(f:()=>Promise<unknown>, c: any, m=""){ try{await f()}catch(e){ if(!(e instanceof c)||!(e as Error).message.includes(m)) throw e; return e} throw new Error("did not reject") }
export function assertStringIncludes(a:string,b:string){ if(!a.includes(b)) throw new Error(a+" lacks "+b)}
