import { createCipheriv, createDecipheriv, randomBytes, timingSafeEqual } from "node:crypto";
import type { AwsClient } from "../aws/client.ts";

/** Encrypts what a session's two ends say to each other, with the two halves of a data key that the client had KMS make. Source: aws/session-manager-plugin, encryption. */
export interface SessionCipher {
  encrypt(plain: Uint8Array): Buffer;
  /** Throws for what the other end did not encrypt. */
  decrypt(sealed: Uint8Array): Buffer;
}

const nonceBytes = 12;
const tagBytes = 16;

/** `nonce | AES-256-GCM | tag`, each direction with a key of its own. */
export function sessionCipher(encryptionKey: Uint8Array, decryptionKey: Uint8Array): SessionCipher {
  return {
    encrypt(plain) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", encryptionKey, nonce);
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    decrypt(sealed) {
      if (sealed.length < nonceBytes + tagBytes) throw new Error("too short to be encrypted");
      const decipher = createDecipheriv("aes-256-gcm", decryptionKey, sealed.subarray(0, nonceBytes));
      decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
      return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, sealed.length - tagBytes)), decipher.final()]);
    },
  };
}

export const contextOf = (sessionId: string, target: string) => ({ "aws:ssm:SessionId": sessionId, "aws:ssm:TargetId": target });

/** The agent's end, out of the encrypted data key that the client sent. Throws what KMS says. */
export async function agentCipher(kms: AwsClient, keyId: string, context: Readonly<Record<string, string>>, ciphertext: string) {
  const { Plaintext } = await kms.call<{ Plaintext?: string }>(
    "Decrypt",
    { CiphertextBlob: ciphertext, KeyId: keyId, EncryptionContext: context },
    { attempts: 2 },
  );
  const key = Buffer.from(Plaintext ?? "", "base64");
  if (key.length !== 64) throw new Error("the data key of the session is not one of 64 bytes");
  return sessionCipher(key.subarray(0, 32), key.subarray(32));
}

/** Proof that the other end has the key too: what it must send back, encrypted by itself. */
export function challengeOf(): { readonly challenge: Buffer; answered(cipher: SessionCipher, sealed: Uint8Array): boolean } {
  const challenge = randomBytes(64);
  return {
    challenge,
    answered(cipher, sealed) {
      try {
        const answer = cipher.decrypt(sealed);
        return answer.length === challenge.length && timingSafeEqual(answer, challenge);
      } catch {
        return false;
      }
    },
  };
}
