"""timm backbones, their weights, and the network: a backbone and a head."""
