"use strict";
// A quota check as it would be built on Node: fastify, ioredis with auto-pipelining, and one of
//
//   PEER=counter   a plain counter for each key, of rate-limiter-flexible: one cap, nothing else
//   PEER=script    our own check script; CALL names a file that says how it is called
//
// Both answer GET /check with "Authorization: Bearer <key>". Neither asks for a service token, looks
// at a checksum, keeps records or signs a receipt.

const { createHmac } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { crc32 } = require("node:zlib");
const fastify = require("fastify")();
const Redis = require("ioredis");
const { RateLimiterRedis } = require("rate-limiter-flexible");

const { CALL, PEER, PORT, VALKEY_DB, VALKEY_SOCKET } = process.env;
const WEEK_SECONDS = 7 * 24 * 3600;
const CAP = 1e9;

const valkey = new Redis({
  path: VALKEY_SOCKET,
  db: Number(VALKEY_DB),
  enableAutoPipelining: true,
});

function counter() {
  const limiter = new RateLimiterRedis({
    storeClient: valkey,
    keyPrefix: "chats",
    points: CAP,
    duration: WEEK_SECONDS,
  });
  return async (key) => {
    const { remainingPoints } = await limiter.consume(key);
    return { allowed: true, reason: "ok", remaining: remainingPoints };
  };
}

function script() {
  // Names and arguments with blanks, as Python spells them.
  const { sha, prefixes, names, args, pepper, digestLength, status, cap, used } = JSON.parse(
    readFileSync(CALL, "utf8"),
  );
  const secret = Buffer.from(pepper, "base64");
  const accounts = new Map();

  function namesOf(handle) {
    let known = accounts.get(handle);
    if (known === undefined) {
      const prefix = prefixes[crc32(handle) % prefixes.length];
      known = names.map((name) => name.replace("<prefix>", prefix).replace("<handle>", handle));
      accounts.set(handle, known);
    }
    return known;
  }

  return async (key) => {
    const handle = key.slice(3, 11);
    const mac = createHmac("sha256", secret).update(key).digest("base64url");
    const digest = mac.slice(0, digestLength);
    const asked = args.map((word) =>
      word === "<handle>" ? handle : word === "<digest>" ? digest : word,
    );
    const answer = await valkey.evalsha(sha, names.length, ...namesOf(handle), ...asked);
    return {
      allowed: answer[status] === "ok",
      reason: answer[status],
      remaining: answer[cap] < 0 ? null : Math.max(0, answer[cap] - answer[used]),
    };
  };
}

const check = { counter, script }[PEER]();
// A schema lets fastify write the answer without looking at it.
const schema = {
  response: {
    200: {
      type: "object",
      properties: {
        allowed: { type: "boolean" },
        reason: { type: "string" },
        remaining: { type: "integer", nullable: true },
      },
    },
  },
};

fastify.get("/check", { schema }, (request) => check(request.headers.authorization.slice(7)));
fastify.listen({ host: "127.0.0.1", port: Number(PORT) });
process.on("SIGTERM", () => process.exit(0));
