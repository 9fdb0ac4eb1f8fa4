/**
 * The security policies: which TLS versions and ciphers a listener offers. Those of FIPS and of post-quantum key exchange are not among them, because the
 * TLS library of the machine decides that. Source: User Guide for Application Load Balancers, "Security policies".
 */

const tls13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
const forwardGcm = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
];
const forwardSha2 = ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384"];
const forwardSha1 = ["ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA", "ECDHE-ECDSA-AES256-SHA"];
const rsaSha2 = ["AES128-GCM-SHA256", "AES128-SHA256", "AES256-GCM-SHA384", "AES256-SHA256"];
const rsaSha1 = ["AES128-SHA", "AES256-SHA"];
const forward = [...forwardGcm, ...forwardSha2, ...forwardSha1];
const sha2 = [...forwardGcm, ...forwardSha2, ...rsaSha2];
const all = [...forward, ...rsaSha2, ...rsaSha1];

const [v10, v11, v12, v13] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;

export interface SslPolicy {
  readonly protocols: readonly string[];
  /** OpenSSL's names, the preferred ones first. */
  readonly ciphers: readonly string[];
}

export const sslPolicies: Readonly<Record<string, SslPolicy>> = {
  "ELBSecurityPolicy-2016-08": { protocols: [v10, v11, v12], ciphers: all },
  "ELBSecurityPolicy-TLS13-1-2-2021-06": { protocols: [v12, v13], ciphers: [...tls13, ...forwardGcm, ...forwardSha2] },
  "ELBSecurityPolicy-TLS13-1-2-Res-2021-06": { protocols: [v12, v13], ciphers: [...tls13, ...forwardGcm] },
  "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06": { protocols: [v12, v13], ciphers: [...tls13, ...sha2] },
  "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06": { protocols: [v12, v13], ciphers: [...tls13, ...all] },
  "ELBSecurityPolicy-TLS13-1-1-2021-06": { protocols: [v11, v12, v13], ciphers: [...tls13, ...all] },
  "ELBSecurityPolicy-TLS13-1-0-2021-06": { protocols: [v10, v11, v12, v13], ciphers: [...tls13, ...all] },
  "ELBSecurityPolicy-TLS13-1-3-2021-06": { protocols: [v13], ciphers: tls13 },
  "ELBSecurityPolicy-TLS-1-2-2017-01": { protocols: [v12], ciphers: sha2 },
  "ELBSecurityPolicy-TLS-1-2-Ext-2018-06": { protocols: [v12], ciphers: all },
  "ELBSecurityPolicy-TLS-1-1-2017-01": { protocols: [v11, v12], ciphers: all },
  "ELBSecurityPolicy-TLS-1-0-2015-04": { protocols: [v10, v11, v12], ciphers: [...all, "DES-CBC3-SHA"] },
  "ELBSecurityPolicy-2015-05": { protocols: [v10, v11, v12], ciphers: all },
  "ELBSecurityPolicy-FS-2018-06": { protocols: [v10, v11, v12], ciphers: forward },
  "ELBSecurityPolicy-FS-1-1-2019-08": { protocols: [v11, v12], ciphers: forward },
  "ELBSecurityPolicy-FS-1-2-2019-08": { protocols: [v12], ciphers: forward },
  "ELBSecurityPolicy-FS-1-2-Res-2019-08": { protocols: [v12], ciphers: [...forwardGcm, ...forwardSha2] },
  "ELBSecurityPolicy-FS-1-2-Res-2020-10": { protocols: [v12], ciphers: forwardGcm },
};
